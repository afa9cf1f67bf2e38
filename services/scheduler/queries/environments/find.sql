-- Reads an environment. Locks nothing.
SELECT name, base_url, variables, secrets FROM environments WHERE project = $1 AND name = $2
