-- Lets this transaction commit without waiting for the disk: losing the newest beats in a crash costs at most a grace period.
SELECT set_config('synchronous_commit', 'off', true)
