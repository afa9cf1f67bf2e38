-- Forgets idempotent triggers older than 24 hours, in bounded steps. Idempotent.
DELETE FROM trigger_requests
WHERE request_id IN (SELECT request_id FROM trigger_requests WHERE created_at < now() - interval '24 hours' LIMIT 1000)
