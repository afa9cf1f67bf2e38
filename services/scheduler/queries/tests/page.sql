-- Reads tests by (file, name) after a key. Locks nothing.
SELECT test_id, project, file, name, tags, review_state, revision_hash, step_count, created_at, updated_at
FROM tests
WHERE project = $1 AND tags @> $2 AND (file, name) > ($3, $4)
ORDER BY file, name
LIMIT $5
