-- Notes which tests run under each named lease and how far they are. Locks the shards whose list changed in key order, like
-- everybody who locks several shards; takes no run lock. What became of the leases is read by shards/held, a later statement:
-- this one may wait for a shard and would then answer with what was before.
WITH held AS (
    SELECT * FROM unnest($2::uuid[], $3::int[], $4::bigint[], $5::text[], $6::text[])
        AS h (run_id, shard_index, epoch, running, progress)
), changed AS (
    SELECT s.run_id, s.shard_index, h.running::int[] AS running, h.progress::int[] AS progress
    FROM shards AS s
    JOIN held AS h USING (run_id, shard_index, epoch)
    WHERE s.session_id = $1
      AND (s.running IS DISTINCT FROM h.running::int[] OR s.progress IS DISTINCT FROM h.progress::int[])
    ORDER BY s.run_id, s.shard_index
    FOR NO KEY UPDATE OF s
)
UPDATE shards AS s SET running = c.running, progress = c.progress
FROM changed AS c
WHERE s.run_id = c.run_id AND s.shard_index = c.shard_index
