-- Locks the lanes that have claimable work, fairest first: by the org's virtual time, then the lane's. SKIP LOCKED lets
-- another scheduler's claimer take other lanes meanwhile (lock order: lane before shard).
SELECT l.lane_id, l.org
FROM lanes AS l
JOIN orgs AS o USING (org)
WHERE EXISTS (SELECT 1 FROM shards AS s
              WHERE s.lane_id = l.lane_id AND s.state = 'QUEUED' AND s.not_before <= now() AND s.browser = ANY($1::text[]))
ORDER BY o.pass, l.pass, l.lane_id
LIMIT $2
FOR NO KEY UPDATE OF l SKIP LOCKED
