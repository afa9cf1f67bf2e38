-- Forgets reaped sessions that hold nothing and ended over an hour ago. Idempotent. SELECT … LIMIT 1 as in lanes/activate.
DELETE FROM executor_sessions AS e
WHERE e.reaped AND e.expires_at < now() - interval '1 hour'
  AND (SELECT true FROM shards AS s WHERE s.session_id = e.session_id AND s.state = 'LEASED' LIMIT 1) IS NULL
