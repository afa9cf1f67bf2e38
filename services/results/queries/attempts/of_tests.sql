-- Reads all attempts of the named tests. Locks nothing.
SELECT ordinal, payload
FROM attempts
WHERE run_id = $1 AND generation = $2 AND ordinal = ANY($3::int[])
ORDER BY ordinal, attempt
