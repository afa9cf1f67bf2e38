-- Reads runs worth another look: those that broke an invariant. Locks nothing.
SELECT run_id FROM audit_findings ORDER BY random() LIMIT $1
