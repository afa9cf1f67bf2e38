-- FN-1: a verdict stands on a run with its digest, and only where a finalizer closed the generation. PASSED and FAILED have
-- one. Locks nothing; one statement, one snapshot.
SELECT 'FN-1' AS invariant, run_id,
       format('%s by finalizer epoch %s with %s and %s', state, finalizer_epoch,
              CASE WHEN verdict IS NULL THEN 'no verdict' ELSE 'a verdict' END,
              CASE WHEN digest IS NULL THEN 'no digest' ELSE 'a digest' END) AS what
FROM runs
WHERE run_id = ANY($1::uuid[])
  AND ((verdict IS NULL) <> (digest IS NULL)
       OR (digest IS NOT NULL AND (state NOT IN ('PASSED', 'FAILED', 'ERRORED') OR finalizer_epoch = 0))
       OR (digest IS NULL AND state IN ('PASSED', 'FAILED')))
ORDER BY run_id
LIMIT 1000
