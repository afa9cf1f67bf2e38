-- Reads the feed, up to $3 events of each lane after its position. Locks nothing.
SELECT l.lane, e.position, e.payload, e.created_at
FROM unnest($1::int[], $2::bigint[]) AS l (lane, after_position)
CROSS JOIN LATERAL (
    SELECT position, payload, created_at
    FROM run_events
    WHERE feed_lane = l.lane AND position > l.after_position
    ORDER BY position
    LIMIT $3
) AS e
ORDER BY l.lane, e.position
