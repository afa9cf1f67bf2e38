-- Finds leases whose session was reaped or is gone. Locks nothing: the loss is decided under locks, by epoch.
SELECT s.run_id, s.shard_index, s.epoch
FROM shards AS s
LEFT JOIN executor_sessions AS e USING (session_id)
WHERE s.state = 'LEASED' AND (e.session_id IS NULL OR e.reaped)
ORDER BY s.run_id, s.shard_index
LIMIT $1
