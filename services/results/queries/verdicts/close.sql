-- Freezes the verdicts that runs were closed with. Idempotent. In no order: nothing else waits for several of these rows.
UPDATE verdicts AS v SET closed = true
FROM unnest($1::uuid[], $2::int[]) AS c (run_id, generation)
WHERE v.run_id = c.run_id AND v.generation = c.generation
