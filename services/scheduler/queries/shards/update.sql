-- Writes shards that shards/lock has locked in this transaction. Lists travel as array literals: arrays cannot nest.
-- What was running is written by beats only; here it goes with the lease.
UPDATE shards AS s
SET state = n.state,
    epoch = n.epoch,
    announced = n.announced,
    session_id = n.session_id,
    lease_id = CASE WHEN n.session_id IS NOT NULL THEN s.lease_id END,
    infra_attempts = n.infra_attempts,
    running = CASE WHEN n.session_id IS NOT NULL THEN s.running ELSE '{}' END,
    progress = CASE WHEN n.session_id IS NOT NULL THEN s.progress ELSE '{}' END,
    suspects = n.suspects::int[],
    poisoned = n.poisoned::int[],
    reported_count = n.reported_count,
    failure_class = n.failure_class,
    not_before = now() + make_interval(secs => n.delay_s)
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::bigint[], $5::bigint[], $6::uuid[], $7::int[], $8::text[], $9::text[],
            $10::int[], $11::text[], $12::float8[])
         AS n (run_id, shard_index, state, epoch, announced, session_id, infra_attempts, suspects, poisoned,
               reported_count, failure_class, delay_s)
WHERE s.run_id = n.run_id AND s.shard_index = n.shard_index
