-- Locks the cursor of the audit until the commit; no row means that another replica audits. SKIP LOCKED: nobody waits for it.
SELECT positions, swept_run_id FROM audit_cursors FOR NO KEY UPDATE SKIP LOCKED
