-- RN-4: the revisions of a run are 1, 2, 3 … up to the one on its row. Locks nothing; one statement, one snapshot.
SELECT 'RN-4' AS invariant, r.run_id,
       format('revision %s, but %s events from %s to %s', r.revision, e.count, e.first, e.last) AS what
FROM runs AS r
CROSS JOIN LATERAL (
    SELECT count(*) AS count, coalesce(min(revision), 0) AS first, coalesce(max(revision), 0) AS last
    FROM run_events
    WHERE run_id = r.run_id
) AS e
WHERE r.run_id = ANY($1::uuid[]) AND (e.count <> r.revision OR e.first <> 1 OR e.last <> r.revision)
ORDER BY r.run_id
LIMIT 1000
