-- Makes the partitions from $1 days ago to $2 days ahead. Idempotent; takes an advisory lock of its own.
SELECT ensure_attempts_of_day((now() AT TIME ZONE 'UTC')::date + d) FROM generate_series(-$1::int, $2::int) AS d
