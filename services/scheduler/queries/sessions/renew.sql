-- Renews a session; none returned means that it was reaped. One row a beat, database time. A late holder that the reaper
-- has not seen yet may still renew.
UPDATE executor_sessions
SET expires_at = now() + make_interval(secs => $2), draining = draining OR $3
WHERE session_id = $1 AND NOT reaped
RETURNING expires_at
