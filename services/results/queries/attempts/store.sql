-- Stores attempts under fences that this transaction has locked, and counts the new ones there. Idempotent by key. In key
-- order, so that two transactions with the same attempts cannot stop each other. Returns each fence that got new rows.
WITH stored AS (
    INSERT INTO attempts (run_id, generation, shard_index, epoch, ordinal, attempt, outcome, final, payload)
    SELECT a.run_id, a.generation, a.shard_index, a.epoch, a.ordinal, a.attempt, a.outcome, a.final, a.payload
    FROM unnest($1::uuid[], $2::int[], $3::int[], $4::bigint[], $5::int[], $6::int[], $7::smallint[], $8::boolean[],
                $9::bytea[])
             AS a (run_id, generation, shard_index, epoch, ordinal, attempt, outcome, final, payload)
    ORDER BY a.run_id, a.generation, a.ordinal, a.attempt
    ON CONFLICT DO NOTHING
    RETURNING run_id, generation, shard_index, ordinal, attempt, outcome, final
), added AS (
    SELECT run_id, generation, shard_index, count(*)::int AS row_count,
           count(*) FILTER (WHERE final AND outcome = 1 AND attempt = 1)::int AS passed,
           count(*) FILTER (WHERE final AND outcome = 1 AND attempt > 1)::int AS flaky,
           count(*) FILTER (WHERE final AND outcome = 2)::int AS failed,
           count(*) FILTER (WHERE final AND outcome = 3)::int AS timed_out,
           count(*) FILTER (WHERE final AND outcome = 4)::int AS errored,
           array_agg(ordinal) AS ordinals, array_agg(attempt) AS attempts
    FROM stored
    GROUP BY run_id, generation, shard_index
)
UPDATE fences AS f
SET row_count = f.row_count + a.row_count, passed = f.passed + a.passed, flaky = f.flaky + a.flaky,
    failed = f.failed + a.failed, timed_out = f.timed_out + a.timed_out, errored = f.errored + a.errored
FROM added AS a
WHERE f.run_id = a.run_id AND f.generation = a.generation AND f.shard_index = a.shard_index
RETURNING f.run_id, f.generation, f.shard_index, f.row_count, f.stop_after_failures, a.failed + a.timed_out > 0 AS failing,
          a.ordinals, a.attempts
