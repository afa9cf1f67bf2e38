-- Gives up, for their age, artifacts of runs whose id is below $1: ids are ordered by time. At most $2 at once. Returns their
-- content. Idempotent.
UPDATE run_artifacts SET gone = 'AGE'
WHERE (run_id, hash) IN (
    SELECT run_id, hash FROM run_artifacts WHERE gone IS NULL AND run_id < $1 ORDER BY run_id, hash LIMIT $2
    FOR UPDATE SKIP LOCKED)
RETURNING hash
