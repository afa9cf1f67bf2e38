//! The limits of the contract, each with its unit in the name. Checked at the edge.

use std::time::Duration;

/// Tests of one run.
pub const RUN_TESTS_MAX: usize = 100_000;
/// Tests that one request may list by id; larger runs select by tag.
pub const LISTED_TESTS_MAX: usize = 10_000;
/// Shards of one run.
pub const RUN_SHARDS_MAX: u32 = 1_024;
/// Tests of one shard, so that a grant fits in a message: larger runs get more shards than they asked for.
pub const SHARD_TESTS_MAX: u32 = 1_000;
/// Tests run at once within a shard.
pub const SHARD_WORKERS_MAX: u32 = 10;
/// Tests that one executor runs at once.
pub const EXECUTOR_SLOTS_MAX: u32 = 64;
/// Retries of a failed test.
pub const TEST_RETRIES_MAX: u32 = 10;
/// Default limit of one attempt of a test.
pub const TEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(300);
/// Largest limit of one attempt of a test.
pub const TEST_TIMEOUT_MAX: Duration = Duration::from_secs(3_600);
/// One recording.
pub const RECORDING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// One message on the wire.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Attempts in one report.
pub const REPORT_ATTEMPTS_MAX: usize = 512;
/// Bytes of one report.
pub const REPORT_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of one attempt; longer ones are truncated with a flag.
pub const ATTEMPT_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one artifact.
pub const ARTIFACT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Pictures of single steps that one attempt keeps.
pub const STEP_SCREENSHOTS_MAX: usize = 500;
/// The HTML of one page; what is longer is cut.
pub const PAGE_SOURCE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Frames that one attempt is filmed in: what follows is not in its video.
pub const VIDEO_FRAMES_MAX: usize = 20_000;
/// Bytes of the frames of one attempt before they become a video.
pub const VIDEO_FRAME_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Frames of a video in one second.
pub const VIDEO_FRAMES_PER_S_MAX: u32 = 5;
/// Bytes of all artifacts of one run.
pub const RUN_ARTIFACT_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Longest wait of a long poll.
pub const POLL_TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// Longest silence of a watch stream.
pub const STREAM_SILENCE_MAX: Duration = Duration::from_secs(15);
/// Time between two beats of an executor.
pub const BEAT_INTERVAL: Duration = Duration::from_secs(3);
/// Life of a lease without renewal.
pub const LEASE_TTL: Duration = Duration::from_secs(15);
/// Leases of one shard that may end by infrastructure failure before its tests are errored.
pub const SHARD_INFRA_ATTEMPTS_MAX: u32 = 3;
/// Times that tests of a shard may be deferred to another executor: once for each retry of a test.
pub const SHARD_DEFERRALS_MAX: u32 = TEST_RETRIES_MAX;
/// Largest time limit of a run.
pub const RUN_TIMEOUT_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Lost leases in which a test may have been running before it is errored and skipped.
pub const POISON_LOSSES_MAX: u32 = 2;
/// Claims of one finalization before the run is errored.
pub const FINALIZER_EPOCHS_MAX: u32 = 5;
/// Lanes of the event feed.
pub const FEED_LANES: u32 = 8;
/// Version of the protocol between executors and the scheduler.
pub const PROTOCOL_VERSION: u32 = 2;
/// Oldest version that the scheduler still takes: the one before, so that either side may be upgraded first (J5).
pub const PROTOCOL_VERSION_MIN: u32 = 1;
