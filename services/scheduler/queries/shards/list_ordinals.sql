-- Reads which tests a generation runs, as planned: deferred ones are planned once. No row means no such generation. Locks
-- nothing: a plan never changes.
SELECT t.ordinal
FROM shards AS s
CROSS JOIN LATERAL unnest(s.ordinals) AS t (ordinal)
WHERE s.run_id = $1 AND s.generation = $2 AND s.deferrals = 0
ORDER BY t.ordinal
