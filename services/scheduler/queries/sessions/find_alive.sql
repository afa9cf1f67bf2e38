-- Reads a session that has not been reaped. Locks nothing.
SELECT browsers, slots FROM executor_sessions WHERE session_id = $1 AND NOT reaped
