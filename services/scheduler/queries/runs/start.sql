-- Marks runs that this transaction admitted as running: it granted shards of theirs too. $2 events follow the first.
UPDATE runs AS r
SET state = 'RUNNING', started_at = now(), revision = 1 + n.granted_count
FROM unnest($1::uuid[], $2::int[]) AS n (run_id, granted_count)
WHERE r.run_id = n.run_id
