-- Reads the deliveries of a run after ($2, $3), oldest first. Locks nothing.
SELECT delivery_id, run_id, generation, url, state, attempt_count, last_error, next_attempt_at, created_at
FROM deliveries
WHERE run_id = $1 AND (created_at, delivery_id) > ($2, $3)
ORDER BY created_at, delivery_id
LIMIT $4
