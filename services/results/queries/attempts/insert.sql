-- Stores attempts under a fence that this transaction has locked. Idempotent by key: only new rows come back.
INSERT INTO attempts (run_id, generation, shard_index, epoch, ordinal, attempt, outcome, final, payload)
SELECT $1, $2, $3, $4, a.ordinal, a.attempt, a.outcome, a.final, a.payload
FROM unnest($5::int[], $6::int[], $7::smallint[], $8::boolean[], $9::bytea[])
         AS a (ordinal, attempt, outcome, final, payload)
ORDER BY a.ordinal, a.attempt
ON CONFLICT DO NOTHING
RETURNING outcome, final, attempt
