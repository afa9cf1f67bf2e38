-- Returns what a run knows of some content. Locks nothing.
SELECT worth, gone FROM run_artifacts WHERE run_id = $1 AND hash = $2
