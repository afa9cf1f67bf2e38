-- Stores tests; an existing (project, file, name) gets the new recording and labels. Idempotent by content.
INSERT INTO tests (test_id, project, file, name, tags, review_state, revision_hash, step_count, refusals)
SELECT t.test_id, $1, t.file, t.name, t.tags::text[], $2, t.revision_hash, t.step_count, t.refusals
FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::int[], $9::jsonb[])
         AS t (test_id, file, name, tags, revision_hash, step_count, refusals)
ORDER BY t.file, t.name
ON CONFLICT (project, file, name) DO UPDATE
SET revision_hash = EXCLUDED.revision_hash, step_count = EXCLUDED.step_count, tags = EXCLUDED.tags,
    review_state = EXCLUDED.review_state, refusals = EXCLUDED.refusals, updated_at = now()
RETURNING test_id, project, file, name, tags, review_state, revision_hash, step_count, created_at, updated_at
