-- Reads idempotent triggers. Locks nothing.
SELECT request_id, payload_hash, run_id FROM trigger_requests WHERE request_id = ANY($1::uuid[])
