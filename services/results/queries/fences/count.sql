-- Counts what this transaction stored under a fence that it has locked.
UPDATE fences
SET row_count = row_count + $4, passed = passed + $5, flaky = flaky + $6, failed = failed + $7,
    timed_out = timed_out + $8, errored = errored + $9
WHERE run_id = $1 AND generation = $2 AND shard_index = $3
RETURNING row_count
