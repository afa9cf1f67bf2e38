-- Marks sessions past their expiry as reaped: from here on their renewals are refused. The only place that compares the
-- expiry with the clock. Its leases are lost in later transactions, one run lock at a time.
UPDATE executor_sessions SET reaped = true WHERE expires_at < now() AND NOT reaped RETURNING session_id, name
