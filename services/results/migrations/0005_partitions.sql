-- Two processes that made the same partition at once both saw none: a look by name keeps what it saw before it waited. Now
-- they look by query, which sees what was committed while they waited for the lock.
CREATE OR REPLACE FUNCTION ensure_attempts_of_day(day date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    partition text := 'attempts_' || to_char(day, 'YYYYMMDD');
    low_ms    text := lpad(to_hex((day - date '1970-01-01')::bigint * 86400000), 12, '0');
    high_ms   text := lpad(to_hex((day + 1 - date '1970-01-01')::bigint * 86400000), 12, '0');
BEGIN
    IF EXISTS (SELECT FROM pg_class WHERE relname = partition AND relnamespace = current_schema()::regnamespace) THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('results.attempts', 0));
    IF EXISTS (SELECT FROM pg_class WHERE relname = partition AND relnamespace = current_schema()::regnamespace) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE attempts INCLUDING ALL)', partition);
    EXECUTE format('ALTER TABLE attempts ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', partition,
                   rpad(low_ms, 32, '0')::uuid, rpad(high_ms, 32, '0')::uuid);
    RETURN true;
END $$;
