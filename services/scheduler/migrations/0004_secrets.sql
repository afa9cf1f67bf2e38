-- Secrets, encrypted with a key that the database does not have.
ALTER TABLE environments
    ADD COLUMN secrets bytea NOT NULL DEFAULT '';    -- names and encrypted values; empty means none
ALTER TABLE runs
    ADD COLUMN secrets bytea NOT NULL DEFAULT '';    -- those of its environment at admission, still encrypted
