-- Reads the outcomes of a generation without their payloads, in order. Locks nothing.
SELECT ordinal, outcome, final, shard_index FROM attempts WHERE run_id = $1 AND generation = $2 ORDER BY ordinal, attempt
