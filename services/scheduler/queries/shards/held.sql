-- Says what became of each lease that a session names. Locks nothing.
SELECT h.run_id, h.shard_index, h.epoch,
       coalesce(s.state = 'LEASED' AND s.epoch = h.epoch AND s.session_id = $1, false) AS held,
       coalesce(s.state = 'CANCELLED', false) AS cancelled
FROM unnest($2::uuid[], $3::int[], $4::bigint[]) AS h (run_id, shard_index, epoch)
LEFT JOIN shards AS s USING (run_id, shard_index)
