-- Indexes content that a run ($4) has put in place. It stays suspect when the run has given it up meanwhile; while the run
-- names it, it cannot be given up before the commit, and becomes suspect again after it. Idempotent by hash.
WITH named AS (
    SELECT FROM run_artifacts WHERE run_id = $4 AND hash = $1 AND gone IS NULL FOR SHARE)
INSERT INTO artifacts (hash, kind, size_bytes, suspect_at)
SELECT $1, $2::smallint, $3::bigint, CASE WHEN NOT EXISTS (SELECT FROM named) THEN now() END
ON CONFLICT (hash) DO UPDATE SET kind = EXCLUDED.kind, size_bytes = EXCLUDED.size_bytes, suspect_at = EXCLUDED.suspect_at
