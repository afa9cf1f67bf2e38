-- Indexes content whose file is in place. Idempotent by hash.
INSERT INTO artifacts (hash, kind, size_bytes) VALUES ($1, $2, $3)
ON CONFLICT (hash) DO NOTHING
