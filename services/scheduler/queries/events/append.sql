-- Appends events under the locks of their runs and feed lanes, in the order given.
INSERT INTO run_events (run_id, revision, generation, feed_lane, position, terminal, payload)
SELECT e.run_id, e.revision, e.generation, e.feed_lane, nextval('run_event_positions'), e.terminal, e.payload
FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::smallint[], $5::boolean[], $6::bytea[])
         WITH ORDINALITY AS e (run_id, revision, generation, feed_lane, terminal, payload, place)
ORDER BY e.place
