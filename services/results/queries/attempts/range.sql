-- Reads all attempts of tests in a range of ordinals. Locks nothing.
SELECT ordinal, payload
FROM attempts
WHERE run_id = $1 AND generation = $2 AND ordinal > $3 AND ordinal <= $4
ORDER BY ordinal, attempt
