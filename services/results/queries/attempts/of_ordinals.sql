-- Reads how far the named tests are. Locks nothing.
SELECT ordinal, count(*)::int AS attempt_count, bool_or(final) AS final
FROM attempts
WHERE run_id = $1 AND generation = $2 AND ordinal = ANY($3::int[])
GROUP BY ordinal
ORDER BY ordinal
