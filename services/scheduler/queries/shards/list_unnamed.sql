-- Reads a lease of a session that it did not name, with all that a grant carries; one a beat, so that it fits in a message.
-- Locks nothing; one statement, one snapshot.
SELECT s.session_id, s.run_id, s.shard_index, s.generation, s.epoch, s.lease_id, s.ordinals, s.test_ids,
       s.revision_hashes, s.names, s.files, s.poisoned, s.infra_attempts, r.options, r.secrets, r.traceparent,
       EXISTS (SELECT FROM executor_sessions AS e
               WHERE e.session_id <> s.session_id AND s.browser = ANY(e.browsers) AND NOT e.reaped AND NOT e.draining)
           AS may_defer,
       -- It may have been lost after its first reports.
       false AS fresh
FROM shards AS s
JOIN runs AS r USING (run_id)
WHERE s.state = 'LEASED' AND s.session_id = $1
  AND NOT EXISTS (
      SELECT 1 FROM unnest($2::uuid[], $3::int[], $4::bigint[]) AS h (run_id, shard_index, epoch)
      WHERE h.run_id = s.run_id AND h.shard_index = s.shard_index AND h.epoch = s.epoch)
ORDER BY s.run_id, s.shard_index
LIMIT 1
