-- Plans the shards of a new run: shard i takes $6[i] tests from ordinal $5[i] of the flat arrays $7 to $10.
INSERT INTO shards (run_id, shard_index, generation, lane_id, browser, workers, ordinals, test_ids, revision_hashes, names, files)
SELECT $1, (p.shard_index - 1)::int, 1, $2, $3, $4,
       t.ordinals, t.test_ids, t.revision_hashes, t.names, t.files
FROM unnest($5::int[], $6::int[]) WITH ORDINALITY AS p (first_ordinal, test_count, shard_index)
CROSS JOIN LATERAL (
    SELECT array_agg(o ORDER BY o) AS ordinals,
           ($7::uuid[])[p.first_ordinal + 1 : p.first_ordinal + p.test_count] AS test_ids,
           ($8::bytea[])[p.first_ordinal + 1 : p.first_ordinal + p.test_count] AS revision_hashes,
           ($9::text[])[p.first_ordinal + 1 : p.first_ordinal + p.test_count] AS names,
           ($10::text[])[p.first_ordinal + 1 : p.first_ordinal + p.test_count] AS files
    FROM generate_series(p.first_ordinal, p.first_ordinal + p.test_count - 1) AS o
) AS t
