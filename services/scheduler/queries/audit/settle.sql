-- Writes what an audit of the runs $1 found: the findings $2, $3, $4. Earlier findings of these runs that were not found again
-- are gone. Returns those that are new. Under the lock of audit/lock; idempotent.
WITH found AS (
    SELECT DISTINCT ON (f.run_id, f.invariant) f.invariant, f.run_id, f.what
    FROM unnest($2::text[], $3::uuid[], $4::text[]) AS f (invariant, run_id, what)
    ORDER BY f.run_id, f.invariant, f.what
), gone AS (
    DELETE FROM audit_findings AS a
    WHERE a.run_id = ANY($1::uuid[])
      AND NOT EXISTS (SELECT 1 FROM found AS f WHERE f.run_id = a.run_id AND f.invariant = a.invariant)
)
INSERT INTO audit_findings (invariant, run_id, what) SELECT invariant, run_id, what FROM found
ON CONFLICT (run_id, invariant) DO NOTHING
RETURNING invariant, run_id, what
