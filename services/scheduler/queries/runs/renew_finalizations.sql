-- Renews finalization leases that are still held by the replica under the same epoch. Locks the runs in ascending id.
WITH locked AS (
    SELECT r.run_id, r.generation, r.finalizer_epoch
    FROM runs AS r
    JOIN unnest($2::uuid[], $3::int[], $4::int[]) AS h (run_id, generation, finalizer_epoch)
        USING (run_id, generation, finalizer_epoch)
    WHERE r.finalizer_id = $1
    ORDER BY r.run_id
    FOR NO KEY UPDATE OF r
)
UPDATE runs AS r
SET finalizer_expires_at = now() + make_interval(secs => $5)
FROM locked AS l
WHERE r.run_id = l.run_id
RETURNING r.run_id, r.generation, r.finalizer_epoch
