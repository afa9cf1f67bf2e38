-- Generations, stops, deferred tests; what a running test was doing; where a run came from.
ALTER TABLE runs
    ADD COLUMN next_shard_index int,                 -- index of the next shard planned: none is used again
    ADD COLUMN stop_reason text CHECK (stop_reason IN ('FAIL_FAST', 'DEADLINE')), -- why it was stopped before its end
    ADD COLUMN run_timeout interval,                 -- limit of one generation; null means none
    ADD COLUMN deadline_at timestamptz,              -- when this generation is stopped
    ADD COLUMN traceparent text NOT NULL DEFAULT ''; -- W3C trace context of the trigger; empty means none
UPDATE runs SET next_shard_index = shard_count;
-- A scheduler of the version before plans no further shards, so what it leaves out is what it planned.
ALTER TABLE runs ADD CHECK (next_shard_index IS NULL OR next_shard_index >= shard_count);
CREATE INDEX runs_deadlines ON runs (deadline_at) WHERE deadline_at IS NOT NULL AND state IN ('QUEUED', 'RUNNING');

-- The ends of runs, which is all that most readers of the feed want.
CREATE INDEX run_events_ends ON run_events (feed_lane, position) WHERE terminal;

ALTER TABLE shards
    ADD COLUMN deferrals int NOT NULL DEFAULT 0,     -- how often its tests were deferred to a new shard
    ADD COLUMN avoid_session uuid,                   -- executor session that shall not get it while there is another
    ADD COLUMN progress int[] NOT NULL DEFAULT '{}'; -- (attempt, step) for each of running; attempt 0, step -1: not known
