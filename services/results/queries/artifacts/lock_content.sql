-- Returns whether content is there for sure, and locks its row until the commit: it is not removed meanwhile. What no row
-- knows gets one, suspect until it is brought: without it there would be nothing to lock, and who finds a file that a crash
-- left would remove what is brought in its place.
INSERT INTO artifacts AS a (hash, kind, size_bytes, suspect_at) VALUES ($1, 0, 0, now())
ON CONFLICT (hash) DO UPDATE SET kind = a.kind
RETURNING suspect_at IS NULL AS stored
