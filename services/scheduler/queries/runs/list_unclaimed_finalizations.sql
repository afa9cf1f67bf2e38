-- Finds runs that wait for a finalizer, oldest first. Locks nothing: the claim decides under the run's lock.
SELECT run_id
FROM runs
WHERE state = 'FINALIZING' AND finalizer_expires_at IS NULL
ORDER BY run_id
LIMIT $1
