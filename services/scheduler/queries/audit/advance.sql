-- Moves the cursor of the audit, in the transaction that locked it. Idempotent.
UPDATE audit_cursors SET positions = $1, swept_run_id = $2
