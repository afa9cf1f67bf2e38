-- ST-2: a shard whose session is gone or ended 60 seconds ago should have been taken back. Locks nothing; one statement, one
-- snapshot.
SELECT 'ST-2' AS invariant, s.run_id,
       format('shard %s is leased to session %s, which %s', s.shard_index, s.session_id,
              coalesce('ended at ' || e.expires_at, 'is not there')) AS what
FROM shards AS s
LEFT JOIN executor_sessions AS e USING (session_id)
WHERE s.run_id = ANY($1::uuid[]) AND s.state = 'LEASED' AND s.session_id IS NOT NULL
  AND (e.session_id IS NULL OR e.expires_at < now() - interval '60 seconds')
ORDER BY s.run_id, s.shard_index
LIMIT 1000
