-- Reads how often each invariant was checked, and how many runs break it as far as known. Locks nothing.
SELECT a.invariant, a.checked_at, a.run_count,
       (SELECT count(*) FROM audit_findings AS f WHERE f.invariant = a.invariant) AS violation_count
FROM audits AS a
ORDER BY a.invariant
