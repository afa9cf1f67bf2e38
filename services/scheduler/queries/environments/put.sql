-- Creates or replaces an environment. Idempotent.
INSERT INTO environments (project, name, base_url, variables, secrets) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (project, name) DO UPDATE
SET base_url = EXCLUDED.base_url, variables = EXCLUDED.variables, secrets = EXCLUDED.secrets, updated_at = now()
