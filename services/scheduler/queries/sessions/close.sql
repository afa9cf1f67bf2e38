-- Ends a session at its own wish. Idempotent.
UPDATE executor_sessions SET reaped = true, draining = true WHERE session_id = $1
