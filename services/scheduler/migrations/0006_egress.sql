-- Whom the pages of a run may reach, and what sets an executor apart.
ALTER TABLE environments
    ADD COLUMN egress bytea NOT NULL DEFAULT '';         -- Egress of the contract; empty means no policy of its own
ALTER TABLE executor_sessions
    ADD COLUMN attributes text[] NOT NULL DEFAULT '{}';  -- such as sandbox-off, for people
