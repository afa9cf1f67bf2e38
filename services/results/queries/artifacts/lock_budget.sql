-- Returns what a run has used of its budget, and locks that until the commit: charges of one run happen one after the other.
INSERT INTO artifact_budgets AS b (run_id, used_bytes) VALUES ($1, 0)
ON CONFLICT (run_id) DO UPDATE SET used_bytes = b.used_bytes
RETURNING used_bytes
