-- Plans shards of tests that the run has planned before: the next generation, or deferred tests. Everything but the index
-- and the lists comes from the shards that had the tests; the run is locked, so they do not change.
WITH planned AS (
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::uuid[], $6::int[])
        AS p (run_id, shard_index, generation, ordinals, avoid_session, deferrals)
), wanted AS (
    SELECT p.run_id, p.shard_index, o.ordinal
    FROM planned AS p CROSS JOIN LATERAL unnest(p.ordinals::int[]) AS o (ordinal)
), known AS (
    SELECT DISTINCT ON (s.run_id, t.ordinal)
           s.run_id, s.lane_id, s.browser, s.workers, t.ordinal, t.test_id, t.revision_hash, t.name, t.file
    FROM shards AS s
    CROSS JOIN LATERAL unnest(s.ordinals, s.test_ids, s.revision_hashes, s.names, s.files)
        AS t (ordinal, test_id, revision_hash, name, file)
    WHERE s.run_id IN (SELECT run_id FROM planned)
    ORDER BY s.run_id, t.ordinal
)
INSERT INTO shards (run_id, shard_index, generation, lane_id, browser, workers, deferrals, avoid_session, ordinals, test_ids,
                    revision_hashes, names, files)
SELECT p.run_id, p.shard_index, p.generation, min(k.lane_id), min(k.browser), min(k.workers), p.deferrals, p.avoid_session,
       array_agg(k.ordinal ORDER BY k.ordinal), array_agg(k.test_id ORDER BY k.ordinal),
       array_agg(k.revision_hash ORDER BY k.ordinal), array_agg(k.name ORDER BY k.ordinal), array_agg(k.file ORDER BY k.ordinal)
FROM planned AS p
JOIN wanted AS w USING (run_id, shard_index)
JOIN known AS k USING (run_id, ordinal)
GROUP BY p.run_id, p.shard_index, p.generation, p.deferrals, p.avoid_session
