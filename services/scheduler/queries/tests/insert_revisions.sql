-- Stores recordings by content hash. Idempotent.
INSERT INTO test_revisions (revision_hash, content, file, step_count)
SELECT DISTINCT ON (h) h, c, f, n FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::int[]) AS t (h, c, f, n) ORDER BY h
ON CONFLICT DO NOTHING
