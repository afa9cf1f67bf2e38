-- Sums the final results of a generation over its fences. Locks nothing.
SELECT coalesce(sum(passed), 0)::int AS passed, coalesce(sum(flaky), 0)::int AS flaky,
       coalesce(sum(failed), 0)::int AS failed, coalesce(sum(timed_out), 0)::int AS timed_out,
       coalesce(sum(errored), 0)::int AS errored
FROM fences
WHERE run_id = $1 AND generation = $2
