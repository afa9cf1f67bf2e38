-- Notes content that is there and that no row knows: left by a crash, or about to be known. It is suspect, so that it is
-- removed unless a run names it. Idempotent.
INSERT INTO artifacts (hash, kind, size_bytes, suspect_at)
SELECT h.hash, 0, 0, now() FROM unnest($1::bytea[]) AS h (hash)
ON CONFLICT (hash) DO NOTHING
