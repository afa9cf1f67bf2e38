-- Admits a run. A new key: locks nothing that exists.
INSERT INTO runs (run_id, project, environment, options, trigger, test_count, shard_count, revision, open_shard_count,
                  on_infra_failure)
VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $7, $8)
