-- Reads sessions that are alive, by name: an expired one is not, even before the reaper comes to it. Locks nothing.
SELECT e.session_id, e.name, e.slots, e.browsers, e.attributes, e.draining, e.expires_at,
       (SELECT count(*) FROM shards AS s WHERE s.session_id = e.session_id AND s.state = 'LEASED')::int AS leased_shard_count
FROM executor_sessions AS e
WHERE NOT e.reaped AND e.expires_at >= now()
ORDER BY e.name, e.session_id
LIMIT 1000
