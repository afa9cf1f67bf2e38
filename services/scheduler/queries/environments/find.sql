-- Reads an environment. Locks nothing.
SELECT base_url, variables FROM environments WHERE project = $1 AND name = $2
