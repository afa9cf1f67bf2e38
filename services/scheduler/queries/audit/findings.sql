-- Reads the findings that stand, newest first. Locks nothing.
SELECT invariant, run_id, what, found_at FROM audit_findings ORDER BY found_at DESC, run_id, invariant LIMIT 1000
