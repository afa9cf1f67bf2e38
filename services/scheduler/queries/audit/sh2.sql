-- SH-2: the epoch of a shard only grows, so none that was announced is above it. The other half is read from the log: see
-- audit/log. Locks nothing; one statement, one snapshot.
SELECT 'SH-2' AS invariant, run_id, format('shard %s announced epoch %s and has %s', shard_index, announced, epoch) AS what
FROM shards
WHERE run_id = ANY($1::uuid[]) AND announced > epoch
ORDER BY run_id, shard_index
LIMIT 1000
