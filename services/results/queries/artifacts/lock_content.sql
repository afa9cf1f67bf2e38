-- Returns whether content is there for sure, and locks its row until the commit: it is not removed meanwhile.
SELECT suspect_at IS NULL AS stored FROM artifacts WHERE hash = $1 FOR UPDATE
