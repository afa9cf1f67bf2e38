-- Forgets content whose file is gone; its rows are locked.
DELETE FROM artifacts WHERE hash = ANY($1::bytea[])
