-- Lanes that were idle start at the least virtual time of the busy ones of their org, so that idleness earns no credit.
-- (SELECT … LIMIT 1) looks one lane up; what EXISTS becomes is a join, whose plan may read the whole queue for each lane.
-- Locks the idle ones among the named, in ascending id (lock order: lane before shard).
WITH idle AS (
    SELECT l.lane_id, l.org
    FROM lanes AS l
    WHERE l.lane_id = ANY($1::bigint[])
      AND (SELECT true FROM shards AS s WHERE s.lane_id = l.lane_id AND s.state = 'QUEUED' LIMIT 1) IS NULL
    ORDER BY l.lane_id
    FOR NO KEY UPDATE OF l
)
UPDATE lanes AS l
SET pass = greatest(l.pass, coalesce(
    (SELECT min(b.pass) FROM lanes AS b
     WHERE b.org = l.org AND (SELECT true FROM shards AS s WHERE s.lane_id = b.lane_id AND s.state = 'QUEUED' LIMIT 1)), l.pass))
FROM idle AS i
WHERE l.lane_id = i.lane_id
