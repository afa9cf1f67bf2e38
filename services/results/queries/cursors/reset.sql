-- Forgets every cursor: the feed was restored, and its positions mean nothing any more. Idempotent.
DELETE FROM feed_cursors
