-- Locks shards of runs that this transaction has locked (lock order: run before shard), in key order.
SELECT s.run_id, s.shard_index, s.state, s.epoch, s.announced, s.session_id, s.infra_attempts, s.deferrals, s.running,
       s.progress, s.suspects, s.poisoned, s.reported_count, s.failure_class
FROM shards AS s
JOIN (SELECT DISTINCT run_id, shard_index FROM unnest($1::uuid[], $2::int[]) AS k (run_id, shard_index)) AS k
    USING (run_id, shard_index)
ORDER BY s.run_id, s.shard_index
FOR NO KEY UPDATE OF s
