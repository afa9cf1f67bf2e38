-- What a test asks of its browser that some browsers cannot do, so that such a run is refused when it is triggered.
ALTER TABLE tests
    ADD COLUMN refusals jsonb NOT NULL DEFAULT '{}'; -- by engine, the first step that it cannot perform, and why
