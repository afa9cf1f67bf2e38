-- Reads what was sealed after $1, up to $2. Times are those of the beginning of the seal's transaction, so the last five
-- seconds are left for later; a seal that took longer is met by the sweep. Locks nothing.
SELECT sealed_at::text AS sealed_at, run_id
FROM seals
WHERE sealed_at > $1::text::timestamptz AND sealed_at < now() - interval '5 seconds'
ORDER BY seals.sealed_at, run_id
LIMIT $2
