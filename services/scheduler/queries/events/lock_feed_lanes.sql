-- Locks feed lanes in ascending order; the last lock of every event-writing transaction (FD-1). While it is held nobody
-- else draws a position in the lane, so position order is commit order.
SELECT pg_advisory_xact_lock(7430, lane) FROM (SELECT lane FROM unnest($1::int[]) AS lane ORDER BY lane) AS lanes
