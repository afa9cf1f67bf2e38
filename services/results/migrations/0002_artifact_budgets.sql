-- What each run has stored of artifacts, so that one run cannot fill the disk.

-- Which content was uploaded under which run: each counts once per run, however often its upload is repeated.
CREATE TABLE run_artifacts (
    run_id uuid  NOT NULL,                                    -- run
    hash   bytea NOT NULL CHECK (length(hash) = 32),          -- SHA-256 of the content
    PRIMARY KEY (run_id, hash)
);

-- How much of its budget a run has used. Its row is the lock under which uploads of one run are counted.
CREATE TABLE artifact_budgets (
    run_id     uuid   PRIMARY KEY,                            -- run
    used_bytes bigint NOT NULL CHECK (used_bytes >= 0)        -- sizes of its artifacts, each content once
);
