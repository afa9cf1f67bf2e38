-- Takes due deliveries and pushes them ahead by $2 seconds, so that nobody else sends them meanwhile; a crash while sending
-- sends again then, under the same id. SKIP LOCKED: several notifiers share the work.
UPDATE deliveries AS d
SET next_attempt_at = now() + make_interval(secs => $2), attempt_count = d.attempt_count + 1
FROM (SELECT delivery_id FROM deliveries
      WHERE state = 'PENDING' AND next_attempt_at <= now()
      ORDER BY next_attempt_at
      LIMIT $1
      FOR UPDATE SKIP LOCKED) AS due
WHERE d.delivery_id = due.delivery_id
RETURNING d.delivery_id, d.url, d.body, d.attempt_count
