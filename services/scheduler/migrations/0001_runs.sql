-- Schema of the scheduler: catalog, runs, shards, leases, events. The scheduler is its only writer.
-- States are text checked by name, so that a dump reads by itself; core::protocol decides the transitions.

-- Content of recordings by hash. Never updated.
CREATE TABLE test_revisions (
    revision_hash bytea PRIMARY KEY CHECK (length(revision_hash) = 32), -- SHA-256 of content
    content       bytea NOT NULL,                    -- the recording as imported, at most 16 MiB
    file          text NOT NULL,                     -- file it was first imported from, for messages
    step_count    int NOT NULL,                      -- number of steps
    created_at    timestamptz NOT NULL DEFAULT now() -- first import
);

-- Stored tests.
CREATE TABLE tests (
    test_id       uuid PRIMARY KEY,                  -- UUIDv7
    project       text NOT NULL,                     -- project it belongs to
    file          text NOT NULL,                     -- file it was imported from
    name          text NOT NULL,                     -- title of the recording
    tags          text[] NOT NULL DEFAULT '{}',      -- labels for tag filters
    review_state  text NOT NULL CHECK (review_state IN ('DRAFT', 'APPROVED')), -- only APPROVED runs by default
    revision_hash bytea NOT NULL REFERENCES test_revisions, -- its recording now
    step_count    int NOT NULL,                      -- steps of that recording
    created_at    timestamptz NOT NULL DEFAULT now(), -- first import
    updated_at    timestamptz NOT NULL DEFAULT now(), -- last import that changed it
    UNIQUE (project, file, name)
);

-- Named targets of a project.
CREATE TABLE environments (
    project    text NOT NULL,                        -- project it belongs to
    name       text NOT NULL,                        -- unique in the project
    base_url   text NOT NULL,                        -- origin to re-aim recordings at; empty keeps their own
    variables  jsonb NOT NULL,                       -- values for ${NAME}
    updated_at timestamptz NOT NULL DEFAULT now(),   -- last change
    PRIMARY KEY (project, name)
);

-- Lanes give fairness: the claim takes from the lane with the least virtual time of the org with the least.
CREATE TABLE orgs (
    org  text PRIMARY KEY,                           -- organisation; "default" until there are tokens
    pass double precision NOT NULL DEFAULT 0         -- virtual time: estimated seconds granted / weight
);
CREATE TABLE lanes (
    lane_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- named by shards
    org         text NOT NULL REFERENCES orgs,       -- organisation
    environment text NOT NULL,                       -- "project/environment"
    pass        double precision NOT NULL DEFAULT 0, -- virtual time within the org
    UNIQUE (org, environment)
);

-- Runs: one row each, showing the latest generation. Its lock orders everything that happens to the run.
CREATE TABLE runs (
    run_id                uuid PRIMARY KEY,          -- UUIDv7, time-ordered
    project               text NOT NULL,             -- project
    environment           text NOT NULL,             -- environment; empty means none
    options               bytea NOT NULL,            -- gauntlet.v1.RunOptions as resolved at admission
    trigger               bytea NOT NULL,            -- gauntlet.v1.Trigger
    test_count            int NOT NULL CHECK (test_count > 0), -- planned tests
    shard_count           int NOT NULL CHECK (shard_count > 0), -- shards of this generation
    generation            int NOT NULL DEFAULT 1,    -- pass over its tests
    state                 text NOT NULL DEFAULT 'QUEUED' CHECK -- where it stands
        (state IN ('QUEUED', 'RUNNING', 'FINALIZING', 'PASSED', 'FAILED', 'ERRORED', 'ABORTED')),
    revision              bigint NOT NULL,           -- position of its last event (RN-4)
    open_shard_count      int NOT NULL,              -- shards neither DONE nor CANCELLED (SH-1)
    on_infra_failure      text NOT NULL CHECK (on_infra_failure IN ('CONTINUE', 'STOP_RUN')), -- what spent attempts do
    finalizer_epoch       int NOT NULL DEFAULT 0,    -- fencing number of the finalizer
    finalizer_id          uuid,                      -- results process that holds the finalization; null when free
    finalizer_expires_at  timestamptz,               -- when that lease ends, database time
    verdict               bytea,                     -- gauntlet.v1.Verdict, once closed by one
    digest                text,                      -- digest of that verdict (FN-2)
    reason                text,                      -- why aborted or errored
    created_at            timestamptz NOT NULL DEFAULT now(), -- admission
    started_at            timestamptz,               -- first grant
    finished_at           timestamptz,               -- terminal transition
    CHECK (open_shard_count BETWEEN 0 AND shard_count),
    CHECK (state <> 'FINALIZING' OR open_shard_count = 0),                              -- RN-3
    CHECK ((state IN ('PASSED', 'FAILED', 'ERRORED', 'ABORTED')) = (finished_at IS NOT NULL)),
    CHECK ((finalizer_id IS NULL) = (finalizer_expires_at IS NULL)),
    CHECK (finalizer_id IS NULL OR state = 'FINALIZING')
) WITH (fillfactor = 80);
CREATE INDEX runs_open ON runs (finalizer_expires_at) WHERE state = 'FINALIZING';
CREATE INDEX runs_by_project ON runs (project, run_id);

-- Shards: the unit of lease. The plan lives here as arrays, not as a row per test.
CREATE TABLE shards (
    run_id          uuid NOT NULL,                   -- its run
    shard_index     int NOT NULL,                    -- never reused within a run
    generation      int NOT NULL,                    -- generation it was planned for
    lane_id         bigint NOT NULL,                 -- where it queues
    browser         text NOT NULL,                   -- browser it needs
    workers         int NOT NULL,                    -- tests at once: slots that a grant costs
    ordinals        int[] NOT NULL,                  -- its tests
    test_ids        uuid[] NOT NULL,                 -- stored tests, parallel to ordinals
    revision_hashes bytea[] NOT NULL,                -- recordings, parallel to ordinals
    names           text[] NOT NULL,                 -- names at admission, parallel to ordinals
    files           text[] NOT NULL,                 -- files at admission, parallel to ordinals
    state           text NOT NULL DEFAULT 'QUEUED' CHECK -- where it stands
        (state IN ('QUEUED', 'LEASED', 'DONE', 'CANCELLED')),
    epoch           bigint NOT NULL DEFAULT 0,       -- fencing number, only grows (SH-2)
    announced       bigint NOT NULL DEFAULT 0,       -- last epoch whose grant is in the log
    lease_id        uuid,                            -- random id of the grant
    session_id      uuid,                            -- session that holds it
    not_before      timestamptz NOT NULL DEFAULT now(), -- back-off: not granted before this
    infra_attempts  int NOT NULL DEFAULT 0,          -- leases that ended by infrastructure failure
    running         int[] NOT NULL DEFAULT '{}',     -- ordinals that the holder says are running
    suspects        int[] NOT NULL DEFAULT '{}',     -- ordinals running in one lost lease
    poisoned        int[] NOT NULL DEFAULT '{}',     -- ordinals running in two: errored and skipped
    reported_count  int NOT NULL DEFAULT 0,          -- rows that results acknowledged
    failure_class   text,                            -- failure that spent its attempts
    PRIMARY KEY (run_id, shard_index),
    CHECK ((state = 'LEASED') = (session_id IS NOT NULL)),                              -- SH-4
    CHECK (announced <= epoch)
) WITH (fillfactor = 80);
CREATE INDEX shards_claimable ON shards (lane_id, not_before) WHERE state = 'QUEUED';
CREATE INDEX shards_leased ON shards (session_id) WHERE state = 'LEASED';

-- The log of every run; it is also the feed (the outbox). Append-only.
CREATE SEQUENCE run_event_positions;
CREATE TABLE run_events (
    run_id     uuid NOT NULL,                        -- its run
    revision   bigint NOT NULL,                      -- position within the run, no gap (RN-4)
    generation int NOT NULL,                         -- generation it is about
    feed_lane  smallint NOT NULL,                    -- lane of the feed, from the run id
    position   bigint NOT NULL,                      -- position in the lane; commit order (FD-1)
    terminal   boolean NOT NULL,                     -- ends the generation
    payload    bytea NOT NULL,                       -- gauntlet.v1.RunEvent without create_time
    created_at timestamptz NOT NULL DEFAULT now(),   -- when
    PRIMARY KEY (run_id, revision)
);
CREATE UNIQUE INDEX run_events_feed ON run_events (feed_lane, position);
CREATE UNIQUE INDEX run_events_one_terminal ON run_events (run_id, generation) WHERE terminal; -- RN-2

-- The feed's identity: changes when the log was restored and positions may repeat.
CREATE TABLE feeds (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row), -- there is one
    feed_id  uuid NOT NULL DEFAULT gen_random_uuid() -- cursors of another feed are refused
);
INSERT INTO feeds DEFAULT VALUES;

-- Executor processes. One row a beat is all that a heartbeat writes.
CREATE TABLE executor_sessions (
    session_id       uuid PRIMARY KEY,               -- new with each process start
    name             text NOT NULL,                  -- for people
    browsers         text[] NOT NULL,                -- what it offers
    slots            int NOT NULL,                   -- tests at once
    protocol_version int NOT NULL,                   -- protocol it speaks
    draining         boolean NOT NULL DEFAULT false, -- takes no new work
    reaped           boolean NOT NULL DEFAULT false, -- its expiry passed: renewals are refused
    expires_at       timestamptz NOT NULL,           -- when its leases end unless renewed, database time
    created_at       timestamptz NOT NULL DEFAULT now() -- start
) WITH (fillfactor = 50);

-- Touched every second: a gap means that nobody could renew, so nothing is reaped for one lease time.
CREATE TABLE reaper_ticks (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row), -- there is one
    touched_at timestamptz NOT NULL DEFAULT now(),   -- last tick of any scheduler
    reap_after timestamptz NOT NULL DEFAULT now()    -- nothing is reaped before this
);
INSERT INTO reaper_ticks DEFAULT VALUES;

-- Idempotency of TriggerRun, kept for 24 hours.
CREATE TABLE trigger_requests (
    request_id   uuid PRIMARY KEY,                   -- chosen by the caller
    payload_hash bytea NOT NULL,                     -- SHA-256 of the request without its id
    run_id       uuid NOT NULL,                      -- the answer
    created_at   timestamptz NOT NULL DEFAULT now()  -- for the sweep
);
CREATE INDEX trigger_requests_age ON trigger_requests (created_at);
