-- Ends the suspicion against content that a run names and that is there; its rows are locked.
UPDATE artifacts SET suspect_at = NULL WHERE hash = ANY($1::bytea[])
