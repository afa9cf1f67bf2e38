-- Stores a verdict unless a newer finalizer did or the run was closed. None returned means: not ours any more.
INSERT INTO verdicts AS v (run_id, generation, finalizer_epoch, verdict) VALUES ($1, $2, $3, $4)
ON CONFLICT (run_id, generation) DO UPDATE
SET finalizer_epoch = EXCLUDED.finalizer_epoch, verdict = EXCLUDED.verdict
WHERE v.finalizer_epoch <= EXCLUDED.finalizer_epoch AND NOT v.closed
RETURNING true AS stored
