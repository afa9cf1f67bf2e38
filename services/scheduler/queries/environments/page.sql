-- Reads environments of a project by name, after $2. Locks nothing.
SELECT name, base_url, variables, secrets, egress FROM environments WHERE project = $1 AND name > $2 ORDER BY name LIMIT $3
