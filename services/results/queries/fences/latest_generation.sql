-- Returns the newest generation of a run that anything is known of, or null. Locks nothing.
SELECT greatest((SELECT max(generation) FROM fences WHERE run_id = $1),
                (SELECT max(generation) FROM seals WHERE run_id = $1)) AS generation
