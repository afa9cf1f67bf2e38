-- Weighs the named tests, each in the generation named with it: bytes of all attempts. One look at the primary key for each.
-- Reads no payload: its length stands beside it. Locks nothing.
SELECT w.ordinal, s.bytes
FROM unnest($2::int[], $3::int[]) AS w (generation, ordinal)
CROSS JOIN LATERAL (
    SELECT sum(octet_length(a.payload))::bigint AS bytes
    FROM attempts AS a
    WHERE a.run_id = $1 AND a.generation = w.generation AND a.ordinal = w.ordinal
) AS s
WHERE s.bytes IS NOT NULL
ORDER BY w.ordinal
