-- Reads all attempts of the named tests, each in the generation named with it. Locks nothing.
SELECT a.ordinal, a.payload
FROM unnest($2::int[], $3::int[]) AS w (generation, ordinal)
JOIN attempts AS a ON a.generation = w.generation AND a.ordinal = w.ordinal
WHERE a.run_id = $1
ORDER BY a.ordinal, a.attempt
