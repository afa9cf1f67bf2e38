-- What an artifact is worth to its run, so that the least is given up when the run's budget is spent, and what was given up
-- and why, so that it can be told. Content that no run names any more is removed.

ALTER TABLE run_artifacts
    -- What is worth less is given up first (core::artifact); what was stored before were pictures of failures.
    ADD COLUMN worth      smallint NOT NULL DEFAULT 11,
    -- Size of the content, charged to the run's budget while it is kept.
    ADD COLUMN size_bytes bigint   NOT NULL DEFAULT 0 CHECK (size_bytes >= 0),
    -- Why the run has given it up; null while it keeps it.
    ADD COLUMN gone       text     CHECK (gone IN ('BUDGET', 'AGE'));

UPDATE run_artifacts AS r SET size_bytes = a.size_bytes FROM artifacts AS a WHERE a.hash = r.hash;

-- Whether content is still named, and which runs name what is too old.
CREATE INDEX run_artifacts_kept_by_hash ON run_artifacts (hash) WHERE gone IS NULL;
CREATE INDEX run_artifacts_kept_by_run ON run_artifacts (run_id) WHERE gone IS NULL;

ALTER TABLE artifacts
    -- Since when it may be that no run names the content, or that it is not there any more: until that is settled, an upload
    -- brings it again. Null otherwise.
    ADD COLUMN suspect_at timestamptz;

CREATE INDEX artifacts_suspects ON artifacts (suspect_at) WHERE suspect_at IS NOT NULL;
