-- Makes sure that a lane exists and returns it. Idempotent; a lane that exists is not locked.
WITH made AS (
    INSERT INTO lanes (org, environment) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING lane_id
)
SELECT lane_id FROM made
UNION ALL
SELECT lane_id FROM lanes WHERE org = $1 AND environment = $2
LIMIT 1
