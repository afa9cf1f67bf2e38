-- Reads what the finalizer needs of a run's closed shards. Locks nothing: a FINALIZING run's shards do not change.
SELECT shard_index, ordinals, reported_count, failure_class, state = 'CANCELLED' AS cancelled
FROM shards
WHERE run_id = $1 AND generation = $2
ORDER BY shard_index
