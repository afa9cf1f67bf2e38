-- Reads the ends of runs from the feed, up to $3 of each lane after its position. An index of its own: what lies between two
-- ends is never looked at. Locks nothing.
SELECT l.lane, e.position, e.payload, e.created_at
FROM unnest($1::int[], $2::bigint[]) AS l (lane, after_position)
CROSS JOIN LATERAL (
    SELECT position, payload, created_at
    FROM run_events
    WHERE feed_lane = l.lane AND position > l.after_position AND terminal
    ORDER BY position
    LIMIT $3
) AS e
ORDER BY l.lane, e.position
