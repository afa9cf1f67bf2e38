-- Locks and raises the fence of a shard, making it when missing. An older epoch or a seal gives no row. Idempotent.
-- Run ingest/lock_shared before, as its own statement: the EXISTS must see what a seal that was waited for has committed.
INSERT INTO fences AS f (run_id, generation, shard_index, epoch)
SELECT $1, $2, $3, $4
WHERE NOT EXISTS (SELECT FROM seals WHERE run_id = $1 AND generation = $2)
ON CONFLICT (run_id, generation, shard_index) DO UPDATE SET epoch = EXCLUDED.epoch
WHERE f.epoch <= EXCLUDED.epoch
RETURNING row_count
