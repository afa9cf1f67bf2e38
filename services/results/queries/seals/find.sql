-- Reads a seal: no row means that the generation is open. Locks nothing.
SELECT test_count, skipped, errored, not_run FROM seals WHERE run_id = $1 AND generation = $2
