-- Sets what a run has used of its budget, whose row is locked.
UPDATE artifact_budgets SET used_bytes = $2 WHERE run_id = $1
