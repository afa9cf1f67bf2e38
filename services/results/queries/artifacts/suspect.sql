-- Notes that content may have lost the last run that names it. In the order of hashes, as all who lock more than one.
UPDATE artifacts SET suspect_at = now()
WHERE hash IN (SELECT hash FROM artifacts WHERE hash = ANY($1::bytea[]) ORDER BY hash FOR UPDATE)
