-- Moves a cursor, in the transaction that creates the delivery. A cursor of another feed starts over. Idempotent.
INSERT INTO feed_cursors AS c (lane, feed_id, position) VALUES ($1, $2, $3)
ON CONFLICT (lane) DO UPDATE
SET feed_id = EXCLUDED.feed_id, position = EXCLUDED.position
WHERE c.feed_id <> EXCLUDED.feed_id OR c.position < EXCLUDED.position
