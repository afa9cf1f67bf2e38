-- Notes that each of the invariants $1 was checked on $2 runs. Under the lock of audit/lock.
INSERT INTO audits AS a (invariant, checked_at, run_count) SELECT i, now(), $2::bigint FROM unnest($1::text[]) AS i ORDER BY i
ON CONFLICT (invariant) DO UPDATE SET checked_at = EXCLUDED.checked_at, run_count = a.run_count + EXCLUDED.run_count
