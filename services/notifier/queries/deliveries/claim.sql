-- Takes the delivery that is due longest, leaving out receivers that are full ($1), and pushes it ahead by $2 seconds, so
-- that nobody else sends it meanwhile; a crash while sending sends again then, under the same id. SKIP LOCKED: several
-- notifiers share the work. A receiver is the host and port of the URL; it only shares out room, so any text will do.
UPDATE deliveries AS d
SET next_attempt_at = now() + make_interval(secs => $2), attempt_count = d.attempt_count + 1
FROM (SELECT delivery_id, lower(coalesce(substring(url FROM '://([^/?#\\]*)'), '')) AS receiver
      FROM deliveries
      WHERE state = 'PENDING' AND next_attempt_at <= now()
        AND lower(coalesce(substring(url FROM '://([^/?#\\]*)'), '')) <> ALL ($1)
      ORDER BY next_attempt_at
      LIMIT 1
      FOR UPDATE SKIP LOCKED) AS due
WHERE d.delivery_id = due.delivery_id
RETURNING d.delivery_id, d.url, due.receiver, d.body, d.attempt_count, d.run_id, d.traceparent
