-- Creates a delivery. Idempotent by its derived id.
INSERT INTO deliveries (delivery_id, run_id, generation, url, body, traceparent) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
