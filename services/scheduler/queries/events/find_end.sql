-- Reads how a generation ended, from its one terminal event (RN-2). Locks nothing.
SELECT payload, created_at FROM run_events WHERE run_id = $1 AND generation = $2 AND terminal
