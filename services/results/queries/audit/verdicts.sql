-- Reads the verdicts of sealed generations, from which anyone can compute them again (FN-2). Locks nothing; what is sealed does
-- not change.
SELECT s.run_id, s.generation, s.test_count, s.skipped, s.skip_reasons, s.errored, s.not_run, s.origins, v.verdict
FROM seals AS s
JOIN verdicts AS v USING (run_id, generation)
WHERE s.run_id = ANY($1::uuid[])
ORDER BY s.run_id, s.generation
