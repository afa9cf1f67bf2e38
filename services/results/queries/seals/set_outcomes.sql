-- Writes the outcomes of tests without a final attempt, under the exclusive lock. Computed from sealed rows only, so a
-- repeat writes the same.
UPDATE seals SET skipped = $3, errored = $4, not_run = $5 WHERE run_id = $1 AND generation = $2
