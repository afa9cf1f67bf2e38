-- Reads the outcomes of tests in the generations that decided them, without payloads, in order: $2 has the generation of each
-- ordinal. Locks nothing.
SELECT a.ordinal, a.outcome, a.final, a.shard_index
FROM attempts AS a
JOIN unnest($2::int[]) WITH ORDINALITY AS o (generation, number)
  ON a.generation = o.generation AND a.ordinal = o.number - 1
WHERE a.run_id = $1
ORDER BY a.ordinal, a.attempt
