-- Reads tests to plan, in the order asked for. Locks nothing.
SELECT t.test_id, t.file, t.name, t.revision_hash, t.review_state, t.refusals ->> $3 AS refusal
FROM unnest($2::uuid[]) WITH ORDINALITY AS k (test_id, place)
JOIN tests AS t ON t.test_id = k.test_id AND t.project = $1
ORDER BY k.place
