-- RN-5: in a sealed generation every planned test has exactly one outcome: its place in one of the lists of the seal, or a
-- final attempt in the generation that decided it. A test that was executed is in no list but that of the errored. What has
-- a verdict is sealed. Locks nothing; one statement, one snapshot.
(SELECT 'RN-5' AS invariant, s.run_id,
        format('test %s of generation %s is in %s lists and has %s final attempt, %s tests are planned', t.ordinal, s.generation,
               t.lists, CASE WHEN t.is_final THEN 'a' ELSE 'no' END, s.test_count) AS what
 FROM seals AS s
 CROSS JOIN LATERAL (
     SELECT ordinal, count(*) FILTER (WHERE part IN ('left out', 'errored')) AS lists,
            bool_or(part = 'final') AS is_final
     FROM (SELECT p AS ordinal, 'planned' AS part FROM generate_series(0, s.test_count - 1) AS p
           UNION ALL
           SELECT l, 'left out' FROM unnest(s.skipped || s.not_run) AS l
           UNION ALL
           SELECT l, 'errored' FROM unnest(s.errored) AS l
           UNION ALL
           (SELECT DISTINCT a.ordinal, 'final'
            FROM attempts AS a
            LEFT JOIN unnest(s.origins) WITH ORDINALITY AS o (generation, place) ON o.place = a.ordinal + 1
            WHERE a.run_id = s.run_id AND a.final AND a.generation = coalesce(o.generation, s.generation))) AS parts
     GROUP BY ordinal
     HAVING NOT bool_or(part = 'planned')
         OR count(*) FILTER (WHERE part IN ('left out', 'errored')) > 1
         OR bool_or(part = 'left out') = bool_or(part = 'final') AND NOT bool_or(part = 'errored')
         OR bool_or(part = 'left out') AND bool_or(part = 'final')
 ) AS t
 WHERE s.run_id = ANY($1::uuid[])
 ORDER BY s.run_id, s.generation, t.ordinal
 LIMIT 1000)
UNION ALL
(SELECT 'RN-5', v.run_id, format('generation %s has a verdict and no seal', v.generation)
 FROM verdicts AS v
 WHERE v.run_id = ANY($1::uuid[])
   AND NOT EXISTS (SELECT 1 FROM seals AS s WHERE s.run_id = v.run_id AND s.generation = v.generation)
 ORDER BY v.run_id, v.generation
 LIMIT 1000)
