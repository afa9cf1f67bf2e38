-- Notes that a run has this content. Idempotent: no row means that it was charged for it before.
INSERT INTO run_artifacts (run_id, hash) VALUES ($1, $2)
ON CONFLICT (run_id, hash) DO NOTHING
RETURNING hash
