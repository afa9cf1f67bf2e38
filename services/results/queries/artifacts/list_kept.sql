-- Returns which of some content a run still names. A statement of its own, after the locks: what committed while it waited
-- for them counts.
SELECT DISTINCT hash FROM run_artifacts WHERE hash = ANY($1::bytea[]) AND gone IS NULL
