-- Charges a locked lane and its org for what was granted.
WITH charged AS (
    UPDATE lanes SET pass = pass + $2 WHERE lane_id = $1 RETURNING org
)
UPDATE orgs AS o SET pass = o.pass + $2 FROM charged WHERE o.org = charged.org
