-- Reads what a finalizer needs of runs. Locks nothing: the caller holds their finalization.
SELECT run_id, generation, finalizer_epoch, test_count, stop_reason, traceparent FROM runs WHERE run_id = ANY($1::uuid[])
