-- Touches the tick. After a gap over $1 seconds nobody could renew: nothing is reaped for one lease time ($2 seconds),
-- so an outage of the store, a restart or a clock jump burns no attempts.
UPDATE reaper_ticks
SET reap_after = CASE WHEN now() - touched_at > make_interval(secs => $1) OR touched_at > now() + make_interval(secs => $1)
                      THEN now() + make_interval(secs => $2) ELSE reap_after END,
    touched_at = now()
RETURNING now() >= reap_after AS may_reap
