-- Reads names of sessions, for events. Locks nothing.
SELECT session_id, name FROM executor_sessions WHERE session_id = ANY($1::uuid[])
