-- Freezes the verdict that the run was closed with. Idempotent.
UPDATE verdicts SET closed = true WHERE run_id = $1 AND generation = $2
