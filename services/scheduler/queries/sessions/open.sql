-- Opens a session. Idempotent by the id that the executor chose for this process start.
INSERT INTO executor_sessions (session_id, name, browsers, slots, protocol_version, attributes, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))
ON CONFLICT (session_id) DO UPDATE SET expires_at = EXCLUDED.expires_at
WHERE NOT executor_sessions.reaped
RETURNING expires_at
