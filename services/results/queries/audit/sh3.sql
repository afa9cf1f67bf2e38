-- SH-3: an attempt is stored once. Locks nothing; one statement, one snapshot.
SELECT 'SH-3' AS invariant, run_id,
       format('attempt %s of test %s in generation %s is stored %s times', attempt, ordinal, generation, count(*)) AS what
FROM attempts
WHERE run_id = ANY($1::uuid[])
GROUP BY run_id, generation, ordinal, attempt
HAVING count(*) > 1
ORDER BY run_id, generation, ordinal, attempt
LIMIT 1000
