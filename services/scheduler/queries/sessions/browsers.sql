-- Reads which browsers the living executors offer. Locks nothing.
SELECT DISTINCT unnest(browsers) AS browser FROM executor_sessions WHERE NOT reaped AND NOT draining
