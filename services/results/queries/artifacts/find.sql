-- Finds content, and why a run ($2) has given it up, if it has. Locks nothing.
SELECT EXISTS (SELECT FROM artifacts WHERE hash = $1) AS known,
       (SELECT gone FROM run_artifacts WHERE hash = $1 AND run_id = $2) AS gone
