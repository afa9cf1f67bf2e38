//! What is left to do in a shard, and how: a grant, read and checked.
//!
//! Owns the list of tests that no worker has taken yet. Nothing is durable: a crash leaves the grant to the next executor.

use crate::{config::Config, emulation, keep::Wanted, mask::Mask, run_test::BrowserSpec};
use gauntlet_browser::{DialogPolicy, Isolation, TestOptions};
use gauntlet_core::{
    egress::EgressRules,
    flow::{Flow, origin_of},
    limits::{TEST_TIMEOUT_DEFAULT, TEST_TIMEOUT_MAX},
};
use gauntlet_proto::{edge, v1};
use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

/// What is left to do in a shard, and how.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) workers: u32,
    pub(crate) retries: i32,
    pub(crate) spec: BrowserSpec,
    pub(crate) base_url: String,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) mask: Arc<Mask>,
    pub(crate) options: TestOptions,
    pub(crate) wanted: Wanted,
    pub(crate) sign_in: Option<v1::SignIn>,
    pub(crate) poisoned: HashSet<i32>,
    pub(crate) attempts_stored: HashMap<i32, i32>,
    pub(crate) may_defer: bool,
    pub(crate) left: Mutex<VecDeque<v1::PlannedTest>>,
    pub(crate) deferred: Mutex<Vec<i32>>,
}

impl Plan {
    /// Returns the plan of a grant, without the tests that have a final result (B6).
    ///
    /// # Errors
    /// A message when an option cannot be followed: it is never ignored.
    pub(crate) fn new(
        grant: v1::ShardGrant,
        opened: &v1::OpenShardResponse,
        config: &Config,
    ) -> Result<Self, String> {
        let options = grant.options.unwrap_or_default();
        let run_id = edge::uuid("run_id", &grant.run_id).map_err(|error| error.description)?;
        let browser = v1::Browser::try_from(options.browser)
            .map_err(|_| format!("this executor does not know browser {}", options.browser))?;
        if !options.base_url.is_empty() && origin_of(&options.base_url).is_none() {
            return Err(format!("base_url {:?} is not an absolute url", options.base_url));
        }
        let done: HashSet<i32> = opened.final_ordinals.iter().copied().collect();
        let left = grant.tests.into_iter().filter(|test| !done.contains(&test.ordinal)).collect();
        let stored = opened.attempt_counts.iter();
        Ok(Self {
            workers: u32::try_from(options.workers).unwrap_or(1).clamp(1, config.slots.max(1)),
            retries: options.retries.max(0),
            spec: BrowserSpec {
                run_id: gauntlet_core::ids::RunId(run_id),
                browser,
                headed: options.headed,
                egress: Arc::new(egress(&options, config.browsers.grid.is_some())?),
            },
            options: TestOptions { files_dir: config.files_dir.clone(), ..test_options(&options)? },
            wanted: Wanted::new(&options)?,
            sign_in: options.sign_in,
            base_url: options.base_url,
            // What the run was given goes before the secrets of its environment.
            variables: grant.secrets.clone().into_iter().chain(options.variables).collect(),
            mask: Arc::new(Mask::new(grant.secrets)),
            poisoned: grant.poisoned_ordinals.into_iter().collect(),
            attempts_stored: stored.map(|count| (count.ordinal, count.attempt_count)).collect(),
            may_defer: grant.may_defer,
            left: Mutex::new(left),
            deferred: Mutex::default(),
        })
    }

    pub(crate) fn next(&self) -> Option<v1::PlannedTest> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Leaves a test whose attempt failed here to another executor, if its last retry is next and there is one.
    pub(crate) fn defer(&self, ordinal: i32, failed_attempt: i32) -> bool {
        let defer = self.may_defer && failed_attempt == self.retries;
        if defer {
            self.deferred.lock().unwrap_or_else(PoisonError::into_inner).push(ordinal);
        }
        defer
    }

    /// Variables first: a URL may be made of one.
    pub(crate) fn aim(&self, flow: &Flow) -> Flow {
        let mut flow = flow.clone();
        flow.substitute(&self.variables);
        if !self.base_url.is_empty() {
            flow.rebase(&self.base_url);
        }
        flow
    }
}

/// Returns whom the run's pages may reach. That nobody could see to it was known when the session was opened, but not to a
/// scheduler of before.
fn egress(options: &v1::RunOptions, at_grid: bool) -> Result<EgressRules, String> {
    let Some(v1::Egress { allow, deny }) = &options.egress else {
        return Ok(EgressRules::default());
    };
    if at_grid {
        return Err("the egress policy of the environment cannot be kept at a grid".to_owned());
    }
    EgressRules::parse(allow, deny)
        .map_err(|error| format!("egress policy: {}", gauntlet_runtime::error_chain(&error)))
}

fn test_options(options: &v1::RunOptions) -> Result<TestOptions, String> {
    let timeout = match &options.test_timeout {
        None => TEST_TIMEOUT_DEFAULT,
        Some(wire) => edge::duration("test_timeout", wire).map_err(|error| error.description)?,
    };
    let dialogs = match v1::DialogPolicy::try_from(options.dialog_policy) {
        Ok(v1::DialogPolicy::Unspecified | v1::DialogPolicy::Accept) => DialogPolicy::Accept,
        Ok(v1::DialogPolicy::Dismiss) => DialogPolicy::Dismiss,
        Ok(v1::DialogPolicy::Fail) => DialogPolicy::Fail,
        Err(_) => {
            return Err(format!(
                "this executor does not know dialog policy {}",
                options.dialog_policy
            ));
        }
    };
    let screenshot_on_failure = match v1::ScreenshotMode::try_from(options.screenshots) {
        Ok(
            v1::ScreenshotMode::Unspecified
            | v1::ScreenshotMode::OnFailure
            | v1::ScreenshotMode::EveryStep,
        ) => true,
        Ok(v1::ScreenshotMode::Off) => false,
        Err(_) => {
            return Err(format!(
                "this executor does not know screenshot mode {}",
                options.screenshots
            ));
        }
    };
    let isolation = match v1::Isolation::try_from(options.isolation) {
        Ok(v1::Isolation::Unspecified | v1::Isolation::Context) => Isolation::Context,
        Ok(v1::Isolation::Reset) => Isolation::Reset,
        Err(_) => {
            return Err(format!("this executor does not know isolation {}", options.isolation));
        }
    };
    let pace = match v1::TimingMode::try_from(options.timing) {
        Ok(v1::TimingMode::Unspecified | v1::TimingMode::Instant) => 0.0,
        Ok(v1::TimingMode::Fast) => 0.25,
        Ok(v1::TimingMode::Realistic) => 1.0,
        Err(_) => return Err(format!("this executor does not know timing {}", options.timing)),
    };
    let speed = if options.speed > 0.0 { options.speed } else { 1.0 };
    let timeout = timeout.min(TEST_TIMEOUT_MAX);
    let emulation = options.emulation.as_ref();
    let viewport = emulation.and_then(|wanted| wanted.viewport.as_ref()).map(emulation::viewport);
    let others = TestOptions::default();
    Ok(TestOptions {
        timeout,
        dialogs,
        screenshot_on_failure,
        strict_asserted_events: options.strict_navigation,
        pace: pace / speed,
        isolation,
        viewport: viewport.unwrap_or(others.viewport),
        emulation: emulation.map(emulation::emulation).unwrap_or_default(),
        ..others
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g9_a_policy_that_cannot_be_kept_or_read_is_no_silence() {
        let mut options = v1::RunOptions::default();
        assert_eq!(egress(&options, true), Ok(EgressRules::default()));
        let mut policy = v1::Egress { allow: Vec::new(), deny: vec!["a.example".to_owned()] };
        options.egress = Some(policy.clone());
        assert!(!egress(&options, false).unwrap().is_empty());
        assert!(egress(&options, true).unwrap_err().contains("grid"));
        policy.deny.push("*".to_owned());
        options.egress = Some(policy);
        assert!(egress(&options, false).unwrap_err().contains("deny[1]"));
    }
}
