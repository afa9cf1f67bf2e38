-- Reads the deliveries of a run, oldest first. Locks nothing.
SELECT delivery_id, run_id, generation, url, state, attempt_count, last_error, next_attempt_at, created_at
FROM deliveries
WHERE run_id = $1
ORDER BY created_at, delivery_id
LIMIT 1000
