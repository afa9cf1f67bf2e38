-- Schema of results: fences, attempts, seals, verdicts, artifacts. The results service is its only writer.

-- One row per shard of a generation: who may report, and how far it is. Live progress is the sum of these rows.
CREATE TABLE fences (
    run_id      uuid   NOT NULL,                     -- run, UUIDv7
    generation  int    NOT NULL CHECK (generation > 0), -- pass over the run's tests
    shard_index int    NOT NULL CHECK (shard_index >= 0), -- shard
    epoch       bigint NOT NULL CHECK (epoch >= 0),  -- newest grant seen; nothing older may write (SH-2)
    row_count   int    NOT NULL DEFAULT 0,           -- attempts stored under this shard
    passed      int    NOT NULL DEFAULT 0,           -- final results: passed at the first attempt
    flaky       int    NOT NULL DEFAULT 0,           -- final results: passed after a failed attempt
    failed      int    NOT NULL DEFAULT 0,           -- final results: failed
    timed_out   int    NOT NULL DEFAULT 0,           -- final results: ran into the time limit
    errored     int    NOT NULL DEFAULT 0,           -- final results: infrastructure error
    PRIMARY KEY (run_id, generation, shard_index),
    CHECK (passed + flaky + failed + timed_out + errored <= row_count)
) WITH (fillfactor = 70); -- leaves room for updates in place: each report updates its fence

-- One row per recorded try of a test. Partitioned by day of admission (a UUIDv7 starts with its time).
CREATE TABLE attempts (
    run_id      uuid     NOT NULL,                   -- run
    generation  int      NOT NULL,                   -- generation
    ordinal     int      NOT NULL CHECK (ordinal >= 0), -- number of the test within the generation
    attempt     int      NOT NULL CHECK (attempt > 0), -- number of the try
    shard_index int      NOT NULL,                   -- shard it was reported under
    epoch       bigint   NOT NULL,                   -- grant it was reported under
    outcome     smallint NOT NULL CHECK (outcome BETWEEN 1 AND 4), -- gauntlet.v1.AttemptOutcome
    final       boolean  NOT NULL,                   -- no further try of this test follows
    payload     bytea    NOT NULL,                   -- gauntlet.v1.Attempt; steps travel as one blob
    PRIMARY KEY (run_id, generation, ordinal, attempt) -- SH-3: a repeat is a no-op
) PARTITION BY RANGE (run_id);

-- Makes the partition of attempts for one day (UTC); true when it was not there. Attached, not created as a partition: that
-- waits for no reader or writer of the others. No default partition: its rows would have to move before the right one can
-- be made.
CREATE FUNCTION ensure_attempts_of_day(day date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    partition text := 'attempts_' || to_char(day, 'YYYYMMDD');
    low_ms    text := lpad(to_hex((day - date '1970-01-01')::bigint * 86400000), 12, '0');
    high_ms   text := lpad(to_hex((day + 1 - date '1970-01-01')::bigint * 86400000), 12, '0');
BEGIN
    IF to_regclass(partition) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('results.attempts', 0));
    IF to_regclass(partition) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE attempts INCLUDING ALL)', partition);
    EXECUTE format('ALTER TABLE attempts ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', partition,
                   rpad(low_ms, 32, '0')::uuid, rpad(high_ms, 32, '0')::uuid);
    RETURN true;
END $$;

-- A row means: the generation accepts nothing more. Outcomes of tests without a final attempt are lists of ordinals.
CREATE TABLE seals (
    run_id     uuid  NOT NULL,                       -- run
    generation int   NOT NULL,                       -- generation
    test_count int   NOT NULL CHECK (test_count >= 0), -- planned tests
    skipped    int[] NOT NULL DEFAULT '{}',          -- ordinals skipped because of an abort
    errored    int[] NOT NULL DEFAULT '{}',          -- ordinals that the infrastructure took
    not_run    int[] NOT NULL DEFAULT '{}',          -- ordinals neither executed nor skipped
    sealed_at  timestamptz NOT NULL DEFAULT now(),   -- when it was sealed
    PRIMARY KEY (run_id, generation)
);

-- What the finalizer made of a sealed generation. Frozen once the scheduler has closed the run with it.
CREATE TABLE verdicts (
    run_id          uuid    NOT NULL,                -- run
    generation      int     NOT NULL,                -- generation
    finalizer_epoch bigint  NOT NULL,                -- fencing number of the finalizer that wrote it
    verdict         bytea   NOT NULL,                -- gauntlet.v1.Verdict, digest included (FN-2)
    closed          boolean NOT NULL DEFAULT false,  -- CloseRun was answered for it
    PRIMARY KEY (run_id, generation)
);

-- Artifacts by content; the bytes are files.
CREATE TABLE artifacts (
    hash       bytea       PRIMARY KEY CHECK (length(hash) = 32), -- SHA-256 of the content
    kind       smallint    NOT NULL,                 -- gauntlet.v1.ArtifactKind as first uploaded
    size_bytes bigint      NOT NULL CHECK (size_bytes >= 0), -- size of the content
    created_at timestamptz NOT NULL DEFAULT now()    -- first upload
);

-- How far the scheduler's event feed was acted on.
CREATE TABLE feed_cursors (
    lane     int    PRIMARY KEY,                     -- lane of the feed
    feed_id  uuid   NOT NULL,                        -- feed the position belongs to
    position bigint NOT NULL                         -- last position acted on
);
