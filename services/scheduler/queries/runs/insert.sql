-- Admits runs. New keys: locks nothing that exists.
INSERT INTO runs (run_id, project, environment, options, secrets, trigger, traceparent, test_count, shard_count, next_shard_index,
                  open_shard_count, on_infra_failure, run_timeout, deadline_at, revision)
SELECT n.run_id, n.project, n.environment, n.options, n.secrets, n.trigger, n.traceparent, n.test_count, n.shard_count, n.shard_count,
       n.shard_count, n.on_infra_failure, make_interval(secs => n.run_timeout_s),
       now() + make_interval(secs => n.run_timeout_s), 1
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::text[], $7::int[], $8::int[], $9::text[],
            $10::float8[], $11::bytea[])
         AS n (run_id, project, environment, options, trigger, traceparent, test_count, shard_count, on_infra_failure,
               run_timeout_s, secrets)
