-- Reads the feed's identity. Locks nothing.
SELECT feed_id FROM feeds
