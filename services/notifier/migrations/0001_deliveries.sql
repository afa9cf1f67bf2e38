-- Schema of the notifier: deliveries and where it stands in the feed. The notifier is its only writer.

-- One row an (event, endpoint): its id is derived from both, so a repeated event makes no second delivery (DL-1).
CREATE TABLE deliveries (
    delivery_id     text PRIMARY KEY,                -- sent as webhook-id with every try
    run_id          uuid NOT NULL,                   -- the run
    generation      int NOT NULL,                    -- its generation
    url             text NOT NULL,                   -- where it goes; may carry a token, never logged
    body            text NOT NULL,                   -- JSON, fixed when the event was read
    state           text NOT NULL DEFAULT 'PENDING' CHECK -- where it stands
        (state IN ('PENDING', 'SUCCEEDED', 'DEAD')),
    attempt_count   int NOT NULL DEFAULT 0,          -- tries so far
    last_error      text NOT NULL DEFAULT '',        -- what the last try met
    next_attempt_at timestamptz NOT NULL DEFAULT now(), -- when the next try is due; pushed ahead while one is under way
    created_at      timestamptz NOT NULL DEFAULT now()  -- when the event was read
);
CREATE INDEX deliveries_due ON deliveries (next_attempt_at) WHERE state = 'PENDING';
CREATE INDEX deliveries_of_run ON deliveries (run_id);

-- Where the notifier stands in the scheduler's feed.
CREATE TABLE feed_cursors (
    lane     int PRIMARY KEY,                        -- lane of the feed
    feed_id  uuid NOT NULL,                          -- feed that the position belongs to
    position bigint NOT NULL                         -- last event that was acted on
);
