-- Reads what a retry needs: the options as resolved at admission. Locks nothing; they never change.
SELECT options, test_count, generation, state FROM runs WHERE run_id = $1
