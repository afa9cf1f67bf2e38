-- Reads a run's events after a revision. Locks nothing.
SELECT revision, payload, created_at FROM run_events WHERE run_id = $1 AND revision > $2 ORDER BY revision LIMIT $3
