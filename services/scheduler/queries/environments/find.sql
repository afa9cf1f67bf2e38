-- Reads an environment. Locks nothing.
SELECT name, base_url, variables, secrets, egress FROM environments WHERE project = $1 AND name = $2
