-- The books of the auditor: what was checked, and what was found and still stands.

-- Where the continuous audit stands. Its row is the lock by which one replica audits at a time.
CREATE TABLE audit_cursors (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row), -- there is one
    positions    bigint[] NOT NULL DEFAULT '{0,0,0,0,0,0,0,0}', -- last end of a run audited in each feed lane
    swept_run_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000' -- the sweep of all runs goes on after it
);
INSERT INTO audit_cursors DEFAULT VALUES;

-- How often each invariant was checked.
CREATE TABLE audits (
    invariant  text PRIMARY KEY,                     -- id, such as RN-4
    checked_at timestamptz NOT NULL,                 -- last check
    run_count  bigint NOT NULL                       -- runs checked so far, a run each time
);

-- Runs that break an invariant. A finding goes when the run is audited again and the invariant holds.
CREATE TABLE audit_findings (
    invariant text NOT NULL,                         -- id of the invariant
    run_id    uuid NOT NULL,                         -- the run
    what      text NOT NULL,                         -- what was seen first
    found_at  timestamptz NOT NULL DEFAULT now(),    -- when
    PRIMARY KEY (run_id, invariant)
);
