-- Finds an artifact by content. Locks nothing.
SELECT size_bytes FROM artifacts WHERE hash = $1
