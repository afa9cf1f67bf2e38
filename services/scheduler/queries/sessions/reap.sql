-- Touches the tick and marks sessions past their expiry as reaped: from here on their renewals are refused. The only place
-- that compares the expiry with the clock. After a gap over $1 seconds nobody could renew: nothing is reaped for one lease
-- time ($2 seconds), so an outage of the store, a restart or a clock jump burns no attempts. One statement, one now(): a
-- reaper that is stopped in between cannot reap by a tick of before. Leases are lost in later transactions.
WITH tick AS (
    UPDATE reaper_ticks
    SET reap_after = CASE WHEN now() - touched_at > make_interval(secs => $1)
                               OR touched_at > now() + make_interval(secs => $1)
                          THEN now() + make_interval(secs => $2) ELSE reap_after END,
        touched_at = now()
    RETURNING now() >= reap_after AS may_reap
)
UPDATE executor_sessions AS e
SET reaped = true
FROM tick
WHERE tick.may_reap AND e.expires_at < now() AND NOT e.reaped
RETURNING e.session_id, e.name
