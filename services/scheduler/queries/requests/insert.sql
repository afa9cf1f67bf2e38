-- Remembers an idempotent trigger. None returned means that the id was used before; a concurrent use waits here for the
-- other transaction to end.
INSERT INTO trigger_requests (request_id, payload_hash, run_id) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
RETURNING run_id
