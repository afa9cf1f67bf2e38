-- Reads runs worth another look: those that broke an invariant, and those whose work may stand still, see audit/st1 and
-- audit/st2. Locks nothing.
(SELECT run_id FROM audit_findings ORDER BY random() LIMIT $1)
UNION ALL
(SELECT run_id FROM runs WHERE state = 'FINALIZING' ORDER BY run_id LIMIT $1)
UNION ALL
(SELECT s.run_id
 FROM shards AS s
 LEFT JOIN executor_sessions AS e USING (session_id)
 WHERE s.state = 'LEASED' AND (e.session_id IS NULL OR e.expires_at < now() - interval '60 seconds')
 ORDER BY s.run_id
 LIMIT $1)
