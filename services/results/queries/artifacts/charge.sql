-- Adds to what a run has used unless that goes over the limit $3: then no row comes back. Locks the run's budget until the
-- commit.
INSERT INTO artifact_budgets AS b (run_id, used_bytes) SELECT $1, $2::bigint WHERE $2::bigint <= $3::bigint
ON CONFLICT (run_id) DO UPDATE SET used_bytes = b.used_bytes + EXCLUDED.used_bytes
WHERE b.used_bytes + EXCLUDED.used_bytes <= $3::bigint
RETURNING used_bytes
