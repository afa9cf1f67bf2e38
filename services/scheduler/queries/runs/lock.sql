-- Locks the runs in ascending id (lock order: run before shard), so that batches of different replicas cannot deadlock.
-- NO KEY UPDATE: readers and foreign keys are not blocked. Decide only in a later statement than this one.
SELECT run_id, generation, shard_count, coalesce(next_shard_index, shard_count) AS next_shard_index, state, revision,
       open_shard_count, on_infra_failure, stop_reason, finalizer_epoch, finalizer_id, digest, reason, test_count, trigger,
       traceparent, verdict, started_at IS NOT NULL AS started
FROM runs
WHERE run_id = ANY($1::uuid[])
ORDER BY run_id
FOR NO KEY UPDATE
