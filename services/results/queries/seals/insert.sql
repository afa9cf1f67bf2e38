-- Seals a generation with the outcomes of tests without a final attempt, under ingest/lock_exclusive, after seals/find found
-- none: the first seal stands.
INSERT INTO seals (run_id, generation, test_count, skipped, skip_reasons, errored, not_run, origins)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
