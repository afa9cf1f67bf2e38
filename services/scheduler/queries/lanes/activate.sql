-- A lane that was idle starts at the least virtual time of the busy ones, so that idleness earns no credit.
-- Locks the lane when it was idle.
UPDATE lanes AS l
SET pass = greatest(l.pass, coalesce(
    (SELECT min(b.pass) FROM lanes AS b
     WHERE b.org = l.org AND EXISTS (SELECT 1 FROM shards AS s WHERE s.lane_id = b.lane_id AND s.state = 'QUEUED')), l.pass))
WHERE l.lane_id = $1
  AND NOT EXISTS (SELECT 1 FROM shards AS s WHERE s.lane_id = l.lane_id AND s.state = 'QUEUED')
