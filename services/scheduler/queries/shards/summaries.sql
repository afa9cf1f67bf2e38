-- Reads what finalizers need of closed shards, of the generation each run is in. Locks nothing: the shards of a FINALIZING
-- run do not change. The ids stand in an ANY, not in a join, so that the plan goes by the key however large the table is.
SELECT s.run_id, s.shard_index, s.ordinals, s.reported_count, s.failure_class, s.state = 'CANCELLED' AS cancelled
FROM shards AS s
JOIN runs AS r ON r.run_id = s.run_id AND r.generation = s.generation
WHERE s.run_id = ANY($1::uuid[]) AND r.run_id = ANY($1::uuid[])
ORDER BY s.run_id, s.shard_index
