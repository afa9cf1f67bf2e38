-- Held by every report until its commit: a seal waits for reports in flight. Its own statement, so that the next one sees
-- what a seal that was waited for has committed.
SELECT pg_advisory_xact_lock_shared(7431, $1)
