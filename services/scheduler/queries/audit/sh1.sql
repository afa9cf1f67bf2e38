-- SH-1: open_shard_count counts the open shards. Locks nothing; one statement, one snapshot.
SELECT 'SH-1' AS invariant, r.run_id, format('%s shards are open, the run counts %s', s.count, r.open_shard_count) AS what
FROM runs AS r
CROSS JOIN LATERAL (
    SELECT count(*) AS count FROM shards WHERE run_id = r.run_id AND state IN ('QUEUED', 'LEASED')
) AS s
WHERE r.run_id = ANY($1::uuid[]) AND s.count <> r.open_shard_count
ORDER BY r.run_id
LIMIT 1000
