-- Locks the oldest claimable shards of a locked lane (lock order: lane before shard; never the run). SKIP LOCKED: a shard
-- that an abort is cancelling is simply not there. A shard avoids a session only while another one could take it.
SELECT s.run_id, s.shard_index, s.browser, s.workers, cardinality(s.ordinals) AS test_count,
       CASE WHEN s.avoid_session IS NOT NULL AND EXISTS (
                SELECT 1 FROM executor_sessions AS e
                WHERE e.session_id <> s.avoid_session AND s.browser = ANY(e.browsers) AND NOT e.reaped AND NOT e.draining)
            THEN s.avoid_session END AS avoid_session
FROM shards AS s
WHERE s.lane_id = $1 AND s.state = 'QUEUED' AND s.not_before <= now() AND s.browser = ANY($2::text[])
ORDER BY s.not_before, s.run_id, s.shard_index
LIMIT $3
FOR NO KEY UPDATE OF s SKIP LOCKED
