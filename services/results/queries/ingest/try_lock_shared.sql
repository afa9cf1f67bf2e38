-- Takes the locks of ingest/lock_shared for many runs without waiting; returns those it got. Its own statement, so that the
-- next one sees what a seal that just let go has committed.
SELECT key FROM unnest($1::int[]) AS key WHERE pg_try_advisory_xact_lock_shared(7431, key)
