-- Moves the cursor of the audit, in the transaction that locked it: past the seals of the batch. Idempotent.
UPDATE audit_cursors SET sealed_at = $1::text::timestamptz, swept_run_id = $2
