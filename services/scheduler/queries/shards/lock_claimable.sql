-- Locks the oldest claimable shards of a locked lane (lock order: lane before shard; never the run). SKIP LOCKED: a shard
-- that an abort is cancelling is simply not there.
SELECT run_id, shard_index, browser, workers, cardinality(ordinals) AS test_count
FROM shards
WHERE lane_id = $1 AND state = 'QUEUED' AND not_before <= now() AND browser = ANY($2::text[])
ORDER BY not_before, run_id, shard_index
LIMIT $3
FOR NO KEY UPDATE SKIP LOCKED
