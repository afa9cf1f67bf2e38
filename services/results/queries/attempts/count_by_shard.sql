-- Counts the rows that each shard really stored. Locks nothing.
SELECT shard_index, count(*)::int AS row_count FROM attempts WHERE run_id = $1 AND generation = $2 GROUP BY shard_index
