-- Weighs the tests in a range of ordinals: bytes of all attempts of each. Reads no payload: its length stands beside it.
-- Locks nothing.
SELECT ordinal, sum(octet_length(payload))::bigint AS bytes
FROM attempts
WHERE run_id = $1 AND generation = $2 AND ordinal > $3 AND ordinal <= $4
GROUP BY ordinal
ORDER BY ordinal
