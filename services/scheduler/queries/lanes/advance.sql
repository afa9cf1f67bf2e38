-- Charges locked lanes and their orgs for what was granted. Locks the orgs, after every lane.
WITH charged AS (
    UPDATE lanes AS l SET pass = l.pass + c.cost
    FROM unnest($1::bigint[], $2::float8[]) AS c (lane_id, cost)
    WHERE l.lane_id = c.lane_id
    RETURNING l.org, c.cost
), by_org AS (
    SELECT o.org, sum(c.cost) AS cost
    FROM charged AS c
    JOIN orgs AS o USING (org)
    GROUP BY o.org
), locked AS (
    SELECT o.org FROM orgs AS o WHERE o.org IN (SELECT org FROM by_org) ORDER BY o.org FOR NO KEY UPDATE
)
UPDATE orgs AS o SET pass = o.pass + b.cost FROM by_org AS b JOIN locked USING (org) WHERE o.org = b.org
