-- Reads which browsers the living executors offer; those of an expired session wait for nobody. Locks nothing.
SELECT DISTINCT unnest(browsers) AS browser FROM executor_sessions WHERE NOT reaped AND expires_at >= now() AND NOT draining
