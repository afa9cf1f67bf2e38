-- Notes that a run has given content up for its budget. The run's budget is locked. Idempotent.
UPDATE run_artifacts SET gone = 'BUDGET' WHERE run_id = $1 AND hash = ANY($2::bytea[]) AND gone IS NULL
