-- FD-1: the events of a run stand in one lane of the feed, in the order of their revisions. Locks nothing; one statement, one
-- snapshot.
SELECT 'FD-1' AS invariant, e.run_id,
       format('event %s is at position %s of lane %s, the one before at %s of lane %s', e.revision, e.position, e.feed_lane,
              e.position_before, e.lane_before) AS what
FROM (
    SELECT run_id, revision, position, feed_lane,
           lag(position) OVER log AS position_before, lag(feed_lane) OVER log AS lane_before
    FROM run_events
    WHERE run_id = ANY($1::uuid[])
    WINDOW log AS (PARTITION BY run_id ORDER BY revision)
) AS e
WHERE e.position <= e.position_before OR e.feed_lane <> e.lane_before
ORDER BY e.run_id, e.revision
LIMIT 1000
