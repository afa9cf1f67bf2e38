-- Removes runs that this transaction has inserted and whose request had admitted others before. Nobody else sees them.
DELETE FROM runs WHERE run_id = ANY($1::uuid[])
