-- Removes shards that this transaction has planned for runs which their request had admitted before. Nobody else sees them.
DELETE FROM shards WHERE run_id = ANY($1::uuid[])
