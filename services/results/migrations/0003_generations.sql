-- Partial retries and stops: each seal says by itself what the whole run's tests came to, older generations included.

ALTER TABLE seals
    ADD COLUMN skip_reasons smallint[] NOT NULL DEFAULT '{}', -- why, in the order of `skipped`: 1 aborted, 2 fail-fast, 3 deadline
    ADD COLUMN origins      int[]      NOT NULL DEFAULT '{}'; -- generation that decided each test, by ordinal; empty: this one, all

-- Until now only an abort skipped tests.
UPDATE seals SET skip_reasons = array_fill(1::smallint, ARRAY[cardinality(skipped)]) WHERE cardinality(skipped) > 0;

ALTER TABLE seals
    ADD CONSTRAINT seals_skip_reasons_check CHECK (cardinality(skip_reasons) = cardinality(skipped)),
    ADD CONSTRAINT seals_origins_check CHECK (cardinality(origins) IN (0, test_count));

ALTER TABLE fences
    ADD COLUMN stop_after_failures int NOT NULL DEFAULT 0 CHECK (stop_after_failures >= 0); -- failures that end the run; 0: none do
