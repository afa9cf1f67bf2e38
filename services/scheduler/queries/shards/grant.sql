-- Leases shards that shards/lock_claimable has locked in this transaction; the epoch grows with every grant (SH-2). $5 says
-- whether this transaction also puts the grant into the run's log.
-- Returns all that the executor needs: the first grant of tests that no other shard of the generation had is fresh; it may defer tests while another living one offers the browser. Reads the run's options, which never change; does not lock the run.
UPDATE shards AS s
SET state = 'LEASED', epoch = s.epoch + 1, session_id = g.session_id, lease_id = g.lease_id, running = '{}', progress = '{}',
    announced = CASE WHEN g.announce THEN s.epoch + 1 ELSE s.announced END
FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::uuid[], $5::boolean[])
         AS g (run_id, shard_index, session_id, lease_id, announce),
     runs AS r
WHERE s.run_id = g.run_id AND s.shard_index = g.shard_index AND r.run_id = g.run_id
RETURNING s.session_id, s.run_id, s.shard_index, s.generation, s.epoch, s.lease_id, s.ordinals, s.test_ids,
          s.revision_hashes, s.names, s.files, s.poisoned, s.infra_attempts, r.options, r.secrets, r.traceparent,
          EXISTS (SELECT FROM executor_sessions AS e
                  WHERE e.session_id <> s.session_id AND s.browser = ANY(e.browsers) AND NOT e.reaped AND NOT e.draining)
              AS may_defer,
          s.epoch = 1 AND s.deferrals = 0 AS fresh
