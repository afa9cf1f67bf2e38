-- Reads where the follower stands. Locks nothing.
SELECT lane, feed_id, position FROM feed_cursors ORDER BY lane
