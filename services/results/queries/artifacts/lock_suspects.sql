-- Takes content that may be nobody's, the longest suspected first. Locks it, passing over what others have locked.
SELECT hash FROM artifacts WHERE suspect_at IS NOT NULL ORDER BY suspect_at LIMIT $1 FOR UPDATE SKIP LOCKED
