-- Reads the logs of runs beside their rows, for what only the payload of an event tells. Locks nothing; one statement, one
-- snapshot.
SELECT r.run_id, r.state, r.digest, e.terminal, e.payload
FROM runs AS r
JOIN run_events AS e USING (run_id)
WHERE r.run_id = ANY($1::uuid[])
ORDER BY r.run_id, e.revision
LIMIT 400000
