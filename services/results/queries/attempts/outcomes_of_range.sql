-- Reads how tests of a range of ordinals ended in a generation, as far as they did: all their attempts, without payloads, in
-- order. Locks nothing.
SELECT ordinal, outcome, final, shard_index
FROM attempts
WHERE run_id = $1 AND generation = $2 AND ordinal > $3 AND ordinal <= $4
ORDER BY ordinal, attempt
