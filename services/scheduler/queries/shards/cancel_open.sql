-- Takes every open shard of terminal runs out of play and raises its epoch: nothing of the old holder counts (C1).
-- The runs are locked by this transaction.
UPDATE shards
SET state = 'CANCELLED', epoch = epoch + 1, session_id = NULL, lease_id = NULL, running = '{}'
WHERE run_id = ANY($1::uuid[]) AND state IN ('QUEUED', 'LEASED')
