-- FC-1: the counts of a fence are those of the attempts stored under it. Locks nothing; one statement, one snapshot.
SELECT 'FC-1' AS invariant, run_id,
       format('shard %s of generation %s counts %s, its attempts are %s', shard_index, generation,
              coalesce(f.counts::text, 'nothing'), coalesce(a.counts::text, '{0,0,0,0,0,0}')) AS what
FROM (
    SELECT run_id, generation, shard_index,
           ARRAY[row_count, passed, flaky, failed, timed_out, errored] AS counts
    FROM fences
    WHERE run_id = ANY($1::uuid[])
) AS f
FULL JOIN (
    SELECT run_id, generation, shard_index,
           ARRAY[count(*)::int, count(*) FILTER (WHERE final AND outcome = 1 AND attempt = 1)::int,
                 count(*) FILTER (WHERE final AND outcome = 1 AND attempt > 1)::int,
                 count(*) FILTER (WHERE final AND outcome = 2)::int, count(*) FILTER (WHERE final AND outcome = 3)::int,
                 count(*) FILTER (WHERE final AND outcome = 4)::int] AS counts
    FROM attempts
    WHERE run_id = ANY($1::uuid[])
    GROUP BY run_id, generation, shard_index
) AS a USING (run_id, generation, shard_index)
WHERE f.counts IS DISTINCT FROM coalesce(a.counts, '{0,0,0,0,0,0}')
ORDER BY run_id, generation, shard_index
LIMIT 1000
