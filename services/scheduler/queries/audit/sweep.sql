-- Reads the next runs of the sweep over all of them. Locks nothing.
SELECT run_id FROM runs WHERE run_id > $1 ORDER BY run_id LIMIT $2
