-- Finds open runs past their deadline, with the generation seen. Locks nothing: the stop is decided under the run's lock.
SELECT run_id, generation
FROM runs
WHERE deadline_at < now() AND state IN ('QUEUED', 'RUNNING')
ORDER BY deadline_at
LIMIT $1
