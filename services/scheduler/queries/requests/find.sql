-- Reads an idempotent trigger. Locks nothing.
SELECT payload_hash, run_id FROM trigger_requests WHERE request_id = $1
