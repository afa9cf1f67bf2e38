-- Plans the shards of new runs, a row each. Lists travel as array literals: arrays cannot nest.
INSERT INTO shards (run_id, shard_index, generation, lane_id, browser, workers, ordinals, test_ids, revision_hashes, names, files)
SELECT n.run_id, n.shard_index, 1, n.lane_id, n.browser, n.workers, n.ordinals::int[], n.test_ids::uuid[],
       n.revision_hashes::bytea[], n.names::text[], n.files::text[]
FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::text[], $5::int[], $6::text[], $7::text[], $8::text[], $9::text[],
            $10::text[])
         AS n (run_id, shard_index, lane_id, browser, workers, ordinals, test_ids, revision_hashes, names, files)
