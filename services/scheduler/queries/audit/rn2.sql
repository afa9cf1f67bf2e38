-- RN-2: a generation that has ended has one terminal event, an open one has none. Locks nothing; one statement, one snapshot.
SELECT 'RN-2' AS invariant, r.run_id,
       format('generation %s of %s has %s terminal events, the run is %s', g.generation, r.generation, t.count, r.state) AS what
FROM runs AS r
CROSS JOIN LATERAL generate_series(1, r.generation) AS g (generation)
CROSS JOIN LATERAL (
    SELECT count(*) AS count
    FROM run_events AS e
    WHERE e.run_id = r.run_id AND e.generation = g.generation AND e.terminal
) AS t
WHERE r.run_id = ANY($1::uuid[])
  AND t.count <> (g.generation < r.generation OR r.state IN ('PASSED', 'FAILED', 'ERRORED', 'ABORTED'))::int
ORDER BY r.run_id, g.generation
LIMIT 1000
