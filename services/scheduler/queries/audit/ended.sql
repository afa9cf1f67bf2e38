-- Reads which runs ended after the positions $1 of the feed's lanes, up to $2 of each lane. Locks nothing.
SELECT l.lane, e.position, e.run_id
FROM unnest($1::bigint[]) WITH ORDINALITY AS l (after_position, lane)
CROSS JOIN LATERAL (
    SELECT position, run_id
    FROM run_events
    WHERE feed_lane = l.lane - 1 AND position > l.after_position AND terminal
    ORDER BY position
    LIMIT $2
) AS e
ORDER BY l.lane, e.position
