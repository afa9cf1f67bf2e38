-- Remembers idempotent triggers and returns the runs they admit. One that is missing in the answer was used before; a
-- concurrent use waits here for the other transaction to end.
INSERT INTO trigger_requests (request_id, payload_hash, run_id)
SELECT n.request_id, n.payload_hash, n.run_id
FROM unnest($1::uuid[], $2::bytea[], $3::uuid[]) AS n (request_id, payload_hash, run_id)
ORDER BY n.request_id
ON CONFLICT DO NOTHING
RETURNING run_id
