-- Records how a try ended, unless another try did meanwhile. Idempotent.
UPDATE deliveries
SET state = $3, last_error = $4, next_attempt_at = now() + make_interval(secs => $5)
WHERE delivery_id = $1 AND attempt_count = $2 AND state = 'PENDING'
