-- Marks a generation as sealed, under ingest/lock_exclusive. Idempotent.
INSERT INTO seals (run_id, generation, test_count) VALUES ($1, $2, $3)
ON CONFLICT (run_id, generation) DO NOTHING
