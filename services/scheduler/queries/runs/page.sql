-- Reads runs, newest first, after the key $3 (the highest id means from the start). Locks nothing. LIKE as in
-- runs/find.
SELECT run_id, project, environment, options, trigger, test_count, shard_count, generation, state, revision,
       open_shard_count, verdict, reason, created_at, started_at, finished_at,
       (SELECT array_agg(DISTINCT s.browser) FROM shards s WHERE s.run_id = r.run_id AND s.state LIKE 'QUEUED') AS queued_browsers,
       (SELECT min(s.not_before) FROM shards s WHERE s.run_id = r.run_id AND s.state LIKE 'QUEUED') AS claimable_at
FROM runs r
WHERE ($1::text = '' OR project = $1)
  AND (cardinality($2::text[]) = 0 OR state = ANY($2))
  AND run_id < $3
ORDER BY run_id DESC
LIMIT $4
