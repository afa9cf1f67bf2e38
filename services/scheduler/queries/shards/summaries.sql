-- Reads what finalizers need of closed shards, of the generation each run is in. Locks nothing: the shards of a FINALIZING
-- run do not change.
SELECT s.run_id, s.shard_index, s.ordinals, s.reported_count, s.failure_class, s.state = 'CANCELLED' AS cancelled
FROM shards AS s
JOIN unnest($1::uuid[], $2::int[]) AS k (run_id, generation) USING (run_id, generation)
ORDER BY s.run_id, s.shard_index
