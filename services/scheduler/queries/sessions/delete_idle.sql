-- Forgets reaped sessions that hold nothing and ended over an hour ago. Idempotent.
DELETE FROM executor_sessions AS e
WHERE e.reaped AND e.expires_at < now() - interval '1 hour'
  AND NOT EXISTS (SELECT 1 FROM shards AS s WHERE s.session_id = e.session_id AND s.state = 'LEASED')
