-- Creates a delivery. Idempotent by its derived id.
INSERT INTO deliveries (delivery_id, run_id, generation, url, body) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
