-- Finds grants that their run's log does not know yet: a scheduler died between the two. Locks nothing.
SELECT run_id, shard_index, epoch
FROM shards
WHERE state = 'LEASED' AND announced < epoch
ORDER BY run_id, shard_index
LIMIT $1
