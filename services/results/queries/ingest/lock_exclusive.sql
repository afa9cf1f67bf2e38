-- Held by a seal until its commit: it waits for reports in flight, and later ones see the seal.
SELECT pg_advisory_xact_lock(7431, $1)
