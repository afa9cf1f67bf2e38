-- Writes runs that runs/lock has locked in this transaction. $14: finalization lease in seconds.
-- Times are the database's and belong to the generation: started at its first grant, finished at its terminal transition.
UPDATE runs AS r
SET state = n.state,
    revision = n.revision,
    generation = n.generation,
    shard_count = n.shard_count,
    next_shard_index = n.next_shard_index,
    open_shard_count = n.open_shard_count,
    stop_reason = n.stop_reason,
    finalizer_epoch = n.finalizer_epoch,
    finalizer_id = n.finalizer_id,
    finalizer_expires_at = CASE WHEN n.finalizer_id IS NOT NULL THEN now() + make_interval(secs => $14) END,
    digest = n.digest,
    reason = n.reason,
    verdict = n.verdict,
    started_at = CASE WHEN NOT n.started THEN NULL
                      WHEN n.generation = r.generation THEN coalesce(r.started_at, now()) ELSE now() END,
    finished_at = CASE WHEN n.state NOT IN ('PASSED', 'FAILED', 'ERRORED', 'ABORTED') THEN NULL
                       WHEN n.generation = r.generation THEN coalesce(r.finished_at, now()) ELSE now() END,
    deadline_at = CASE WHEN n.generation = r.generation THEN r.deadline_at ELSE now() + r.run_timeout END
FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::int[], $5::int[], $6::int[], $7::int[], $8::text[], $9::int[],
            $10::uuid[], $11::text[], $12::text[], $13::bytea[], $15::boolean[])
         AS n (run_id, state, revision, generation, shard_count, next_shard_index, open_shard_count, stop_reason,
               finalizer_epoch, finalizer_id, digest, reason, verdict, started)
WHERE r.run_id = n.run_id
