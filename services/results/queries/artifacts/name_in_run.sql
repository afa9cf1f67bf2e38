-- Notes that a run has some content, or ($5) why it has it not. Content that was given up may come back for more worth. The
-- run's budget is locked. Idempotent.
INSERT INTO run_artifacts AS r (run_id, hash, worth, size_bytes, gone) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (run_id, hash) DO UPDATE SET worth = greatest(r.worth, EXCLUDED.worth), gone = EXCLUDED.gone
