-- Creates or replaces an environment. Idempotent.
INSERT INTO environments (project, name, base_url, variables) VALUES ($1, $2, $3, $4)
ON CONFLICT (project, name) DO UPDATE SET base_url = EXCLUDED.base_url, variables = EXCLUDED.variables, updated_at = now()
