-- Makes the partition that a run's id falls in. Idempotent.
SELECT ensure_attempts_of_day(
    (to_timestamp(('x' || lpad(substr(replace($1::uuid::text, '-', ''), 1, 12), 16, '0'))::bit(64)::bigint / 1000.0)
     AT TIME ZONE 'UTC')::date)
