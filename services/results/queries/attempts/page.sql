-- Reads all attempts of the next $4 tests with a final one, after an ordinal. Locks nothing.
SELECT ordinal, payload
FROM attempts
WHERE run_id = $1 AND generation = $2
  AND ordinal IN (SELECT DISTINCT ordinal FROM attempts
                  WHERE run_id = $1 AND generation = $2 AND ordinal > $3 AND final
                  ORDER BY ordinal LIMIT $4)
ORDER BY ordinal, attempt
