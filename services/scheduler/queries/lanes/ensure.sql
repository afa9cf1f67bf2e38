-- Makes sure that lanes and their orgs exist. Idempotent; a lane that exists is not locked.
WITH wanted AS (
    SELECT * FROM unnest($1::text[], $2::text[]) AS w (org, environment)
), made AS (
    INSERT INTO orgs (org) SELECT DISTINCT org FROM wanted ORDER BY org ON CONFLICT DO NOTHING
)
INSERT INTO lanes (org, environment) SELECT org, environment FROM wanted ORDER BY org, environment ON CONFLICT DO NOTHING
