-- Reads a recording. Locks nothing; content never changes.
SELECT content, file FROM test_revisions WHERE revision_hash = $1
