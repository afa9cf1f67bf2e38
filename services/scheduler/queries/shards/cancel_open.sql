-- Takes every open shard of generations that were aborted, errored or stopped out of play and raises its epoch: nothing of the old holder counts (C1).
-- The runs are locked by this transaction; their shards are locked in key order, like everywhere.
WITH open AS (
    SELECT run_id, shard_index
    FROM shards
    WHERE (run_id, generation) IN (SELECT * FROM unnest($1::uuid[], $2::int[])) AND state IN ('QUEUED', 'LEASED')
    ORDER BY run_id, shard_index
    FOR NO KEY UPDATE
)
UPDATE shards AS s
SET state = 'CANCELLED', epoch = s.epoch + 1, session_id = NULL, lease_id = NULL, running = '{}', progress = '{}'
FROM open AS o
WHERE s.run_id = o.run_id AND s.shard_index = o.shard_index
