-- Locks and raises the fences of shards in key order, making those that are missing. An older epoch or a seal gives no row.
-- Each shard stands once in the arguments. Idempotent. A report does not know what stops its run and leaves it as it is.
-- Run ingest/lock_shared before, as its own statement: the EXISTS must see what a seal that was waited for has committed.
INSERT INTO fences AS f (run_id, generation, shard_index, epoch, stop_after_failures)
SELECT a.run_id, a.generation, a.shard_index, a.epoch, a.stop_after_failures
FROM unnest($1::uuid[], $2::int[], $3::int[], $4::bigint[], $5::int[])
         AS a (run_id, generation, shard_index, epoch, stop_after_failures)
WHERE NOT EXISTS (SELECT FROM seals AS s WHERE s.run_id = a.run_id AND s.generation = a.generation)
ORDER BY a.run_id, a.generation, a.shard_index
ON CONFLICT (run_id, generation, shard_index) DO UPDATE
SET epoch = EXCLUDED.epoch, stop_after_failures = greatest(f.stop_after_failures, EXCLUDED.stop_after_failures)
WHERE f.epoch <= EXCLUDED.epoch
RETURNING run_id, generation, shard_index, row_count
