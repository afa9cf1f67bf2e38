-- Reads a lease of a session that it did not name, with all that a grant carries; one a beat, so that it fits in a message.
-- Locks nothing; one statement, one snapshot. The session's leases are listed first (MATERIALIZED): for the sake of the order a
-- plan would else walk through all shards there ever were.
WITH leased AS MATERIALIZED (
    SELECT run_id, shard_index, epoch FROM shards WHERE state = 'LEASED' AND session_id = $1
), unnamed AS (
    SELECT l.run_id, l.shard_index
    FROM leased AS l
    WHERE NOT EXISTS (
        SELECT 1 FROM unnest($2::uuid[], $3::int[], $4::bigint[]) AS h (run_id, shard_index, epoch)
        WHERE h.run_id = l.run_id AND h.shard_index = l.shard_index AND h.epoch = l.epoch)
    ORDER BY l.run_id, l.shard_index
    LIMIT 1
)
SELECT s.session_id, s.run_id, s.shard_index, s.generation, s.epoch, s.lease_id, s.ordinals, s.test_ids,
       s.revision_hashes, s.names, s.files, s.poisoned, s.infra_attempts, r.options, r.secrets, r.traceparent,
       EXISTS (SELECT FROM executor_sessions AS e
               WHERE e.session_id <> s.session_id AND s.browser = ANY(e.browsers) AND NOT e.reaped AND NOT e.draining)
           AS may_defer,
       -- It may have been lost after its first reports.
       false AS fresh
FROM unnamed AS u
JOIN shards AS s USING (run_id, shard_index)
JOIN runs AS r USING (run_id)
