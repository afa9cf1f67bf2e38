-- ST-1: a run that is FINALIZING for 60 seconds stands still. The event of the transition is its last one, and renewing the
-- lease writes none. Locks nothing; one statement, one snapshot.
SELECT 'ST-1' AS invariant, r.run_id,
       format('FINALIZING since %s, finalizer epoch %s, %s', e.created_at, r.finalizer_epoch,
              coalesce('held by ' || r.finalizer_id, 'held by nobody')) AS what
FROM runs AS r
JOIN run_events AS e USING (run_id, revision)
WHERE r.run_id = ANY($1::uuid[]) AND r.state = 'FINALIZING' AND e.created_at < now() - interval '60 seconds'
ORDER BY r.run_id
LIMIT 1000
