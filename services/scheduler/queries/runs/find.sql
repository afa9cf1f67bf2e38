-- Reads one run. Locks nothing. LIKE, so that its shards are found by their key: with = the plan may read the whole queue.
SELECT run_id, project, environment, options, trigger, test_count, shard_count, generation, state, revision,
       open_shard_count, verdict, reason, created_at, started_at, finished_at,
       (SELECT array_agg(DISTINCT s.browser) FROM shards s WHERE s.run_id = r.run_id AND s.state LIKE 'QUEUED') AS queued_browsers,
       (SELECT min(s.not_before) FROM shards s WHERE s.run_id = r.run_id AND s.state LIKE 'QUEUED') AS claimable_at
FROM runs r
WHERE run_id = $1
