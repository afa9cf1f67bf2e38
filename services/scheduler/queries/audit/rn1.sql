-- RN-1: nothing follows the end of a generation. Locks nothing; one statement, one snapshot.
SELECT 'RN-1' AS invariant, t.run_id,
       format('event %s of generation %s follows its end, event %s', e.revision, e.generation, t.revision) AS what
FROM run_events AS t
JOIN run_events AS e USING (run_id, generation)
WHERE t.run_id = ANY($1::uuid[]) AND t.terminal AND e.revision > t.revision
ORDER BY t.run_id, e.revision
LIMIT 1000
