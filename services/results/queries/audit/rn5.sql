-- RN-5: in a sealed generation every planned test has exactly one outcome: a final attempt, or its place in one of the lists of
-- the seal. What has a verdict is sealed. Locks nothing; one statement, one snapshot.
(SELECT 'RN-5' AS invariant, s.run_id,
        format('test %s of generation %s has %s outcomes, %s tests are planned', o.ordinal, s.generation, o.count, s.test_count) AS what
 FROM seals AS s
 CROSS JOIN LATERAL (
     SELECT t.ordinal, count(*) FILTER (WHERE t.is_outcome) AS count
     FROM (SELECT DISTINCT a.ordinal, true AS is_outcome
           FROM attempts AS a
           WHERE a.run_id = s.run_id AND a.generation = s.generation AND a.final
           UNION ALL
           SELECT listed, true FROM unnest(s.skipped || s.errored || s.not_run) AS listed
           UNION ALL
           SELECT planned, false FROM generate_series(0, s.test_count - 1) AS planned) AS t
     GROUP BY t.ordinal
     HAVING count(*) FILTER (WHERE t.is_outcome) <> 1 OR t.ordinal >= s.test_count
 ) AS o
 WHERE s.run_id = ANY($1::uuid[])
 ORDER BY s.run_id, s.generation, o.ordinal
 LIMIT 1000)
UNION ALL
(SELECT 'RN-5', v.run_id, format('generation %s has a verdict and no seal', v.generation)
 FROM verdicts AS v
 WHERE v.run_id = ANY($1::uuid[])
   AND NOT EXISTS (SELECT 1 FROM seals AS s WHERE s.run_id = v.run_id AND s.generation = v.generation)
 ORDER BY v.run_id, v.generation
 LIMIT 1000)
