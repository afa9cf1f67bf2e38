-- Writes runs that runs/lock has locked in this transaction.
-- Times are the database's: started at the first grant, finished at the terminal transition. $10: finalization lease.
UPDATE runs AS r
SET state = n.state,
    revision = n.revision,
    open_shard_count = n.open_shard_count,
    finalizer_epoch = n.finalizer_epoch,
    finalizer_id = n.finalizer_id,
    finalizer_expires_at = CASE WHEN n.finalizer_id IS NOT NULL THEN now() + make_interval(secs => $10) END,
    digest = n.digest,
    reason = n.reason,
    verdict = n.verdict,
    started_at = coalesce(r.started_at, CASE WHEN n.state = 'RUNNING' THEN now() END),
    finished_at = coalesce(r.finished_at,
                           CASE WHEN n.state IN ('PASSED', 'FAILED', 'ERRORED', 'ABORTED') THEN now() END)
FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::int[], $5::int[], $6::uuid[], $7::text[], $8::text[], $9::bytea[])
         AS n (run_id, state, revision, open_shard_count, finalizer_epoch, finalizer_id, digest, reason, verdict)
WHERE r.run_id = n.run_id
