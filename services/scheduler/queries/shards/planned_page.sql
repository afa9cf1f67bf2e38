-- Reads the tests planned at admission by ordinal, after $2; later shards hold the same tests again. Locks nothing.
SELECT t.ordinal, t.test_id, t.revision_hash, t.name, t.file, s.shard_index
FROM shards AS s
CROSS JOIN LATERAL unnest(s.ordinals, s.test_ids, s.revision_hashes, s.names, s.files)
    AS t (ordinal, test_id, revision_hash, name, file)
WHERE s.run_id = $1 AND s.generation = 1 AND s.deferrals = 0 AND t.ordinal > $2 AND s.ordinals[cardinality(s.ordinals)] > $2
ORDER BY t.ordinal
LIMIT $3
