-- Lists what a run keeps that is worth less than $2, in the order in which it is given up. The run's budget is locked.
SELECT hash, size_bytes FROM run_artifacts
WHERE run_id = $1 AND gone IS NULL AND worth < $2
ORDER BY worth, size_bytes DESC, hash
LIMIT 10000
