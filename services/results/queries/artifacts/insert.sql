-- Indexes content that is in place. Idempotent by hash.
INSERT INTO artifacts (hash, kind, size_bytes) VALUES ($1, $2, $3)
ON CONFLICT (hash) DO UPDATE SET kind = EXCLUDED.kind, size_bytes = EXCLUDED.size_bytes, suspect_at = NULL
