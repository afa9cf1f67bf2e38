-- Makes sure that an org exists. Idempotent.
INSERT INTO orgs (org) VALUES ($1) ON CONFLICT DO NOTHING
