-- Creates or replaces an environment. Idempotent.
INSERT INTO environments (project, name, base_url, variables, secrets, egress) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (project, name) DO UPDATE
SET base_url = EXCLUDED.base_url, variables = EXCLUDED.variables, secrets = EXCLUDED.secrets,
    egress = EXCLUDED.egress, updated_at = now()
