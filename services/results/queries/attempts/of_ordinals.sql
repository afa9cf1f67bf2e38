-- Reads how far the named tests are: one look at the primary key for each. Locks nothing.
SELECT a.run_id, a.generation, a.ordinal, s.attempt_count, s.final
FROM unnest($1::uuid[], $2::int[], $3::int[]) AS a (run_id, generation, ordinal)
CROSS JOIN LATERAL (
    SELECT count(*)::int AS attempt_count, bool_or(t.final) AS final
    FROM attempts AS t
    WHERE t.run_id = a.run_id AND t.generation = a.generation AND t.ordinal = a.ordinal
) AS s
WHERE s.attempt_count > 0
ORDER BY a.run_id, a.generation, a.ordinal
