-- Reads the next runs of the sweep over all that reported. Locks nothing.
SELECT DISTINCT run_id FROM fences WHERE run_id > $1 ORDER BY run_id LIMIT $2
