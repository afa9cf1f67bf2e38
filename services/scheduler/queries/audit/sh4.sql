-- SH-4: a leased shard has a session, and only such a one. Locks nothing; one statement, one snapshot.
SELECT 'SH-4' AS invariant, run_id,
       format('shard %s is %s with session %s', shard_index, state, coalesce(session_id::text, 'none')) AS what
FROM shards
WHERE run_id = ANY($1::uuid[]) AND (state = 'LEASED') <> (session_id IS NOT NULL)
ORDER BY run_id, shard_index
LIMIT 1000
