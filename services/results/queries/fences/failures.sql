-- Sums the failed tests of a generation over its fences. Locks nothing.
SELECT coalesce(sum(failed + timed_out), 0)::int AS failures FROM fences WHERE run_id = $1 AND generation = $2
