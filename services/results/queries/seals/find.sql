-- Reads a seal: no row means that the generation is open. Locks nothing.
SELECT generation, test_count, skipped, skip_reasons, errored, not_run, origins
FROM seals
WHERE run_id = $1 AND generation = $2
