-- Reads lanes by name. Locks nothing; a lane never changes its name and is never deleted.
SELECT l.lane_id, l.org, l.environment
FROM lanes AS l
JOIN unnest($1::text[], $2::text[]) AS w (org, environment) USING (org, environment)
