-- RN-3: a run that is FINALIZING has no open shard. Locks nothing; one statement, one snapshot.
SELECT 'RN-3' AS invariant, r.run_id, format('shard %s is %s while the run is FINALIZING', s.shard_index, s.state) AS what
FROM runs AS r
JOIN shards AS s USING (run_id)
WHERE r.run_id = ANY($1::uuid[]) AND r.state = 'FINALIZING' AND s.state IN ('QUEUED', 'LEASED')
ORDER BY r.run_id, s.shard_index
LIMIT 1000
