-- Finds finalization leases past their expiry. Locks nothing: the loss is decided under the run's lock, by epoch.
SELECT run_id, generation, finalizer_epoch
FROM runs
WHERE state = 'FINALIZING' AND finalizer_expires_at < now()
ORDER BY run_id
LIMIT $1
