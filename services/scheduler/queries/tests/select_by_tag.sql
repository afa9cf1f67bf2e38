-- Reads tests to plan by label, by (file, name). Locks nothing.
SELECT test_id, file, name, revision_hash, review_state, refusals ->> $5 AS refusal
FROM tests
WHERE project = $1 AND tags @> $2 AND ($3 OR review_state = 'APPROVED')
ORDER BY file, name
LIMIT $4
