//! What results makes of the feed: generations that ended without a verdict (aborted, errored at once) are sealed here.
//!
//! The cursor moves in the transaction that seals, so a crash repeats an event and the seal is idempotent. A generation
//! after the first is not about all tests of the run: the scheduler is asked which it planned, and the feed waits until it
//! answers. What a retry planned and did not finish says so; it never keeps what the generation before said.

use crate::store::{Store, StoreError};
use gauntlet_core::RunId;
use gauntlet_core::seal::{Ending, Rest};
use gauntlet_feed::{Cursor, Ended, Subscriber};
use gauntlet_proto::v1::finalization_service_client::FinalizationServiceClient;
use gauntlet_proto::v1::{GetGenerationRequest, RunState};
use gauntlet_rpc::{Peer, Reason, limited, reason_of, with_deadline};
use std::collections::BTreeSet;
use std::time::Duration;
use tonic::Status;

/// How long the scheduler may take to say what a generation planned; then the feed is read again from there.
const PLAN_DEADLINE: Duration = Duration::from_secs(10);

/// Why an event stays where it is and comes again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    #[error("the store failed")]
    Store(#[source] StoreError),
    #[error("the scheduler does not say what the generation planned")]
    Plan(#[source] Box<Status>),
}

/// Seals what ended without a verdict.
pub(crate) struct Sealer {
    store: Store,
    scheduler: FinalizationServiceClient<Peer>,
}

impl Sealer {
    pub(crate) fn new(store: Store, scheduler: Peer) -> Self {
        Self { store, scheduler: limited!(FinalizationServiceClient::new(scheduler)) }
    }

    /// Returns the tests of a generation; none when the run is no more.
    async fn planned(
        &self,
        run_id: RunId,
        generation: i32,
    ) -> Result<Option<BTreeSet<u32>>, FollowError> {
        let request = GetGenerationRequest { run_id: run_id.to_string(), generation };
        let request = with_deadline(request, PLAN_DEADLINE);
        match self.scheduler.clone().get_generation(request).await {
            Ok(reply) => {
                let ordinals = reply.into_inner().ordinals;
                Ok(Some(ordinals.into_iter().map(i32::unsigned_abs).collect()))
            }
            Err(status) if reason_of(&status) == Some(Reason::RunNotFound) => Ok(None),
            Err(status) => Err(FollowError::Plan(Box::new(status))),
        }
    }
}

impl Subscriber for Sealer {
    type Error = FollowError;

    async fn list_cursors(&self) -> Result<Vec<Cursor>, FollowError> {
        self.store.list_cursors().await.map_err(FollowError::Store)
    }

    async fn reset_cursors(&self) -> Result<(), FollowError> {
        self.store.reset_cursors().await.map_err(FollowError::Store)
    }

    async fn advance(&self, cursor: Cursor) -> Result<(), FollowError> {
        self.store.advance(cursor).await.map_err(FollowError::Store)
    }

    fn needs(&self, ended: &Ended) -> bool {
        // Whoever computed the verdict has sealed.
        ended.terminal.verdict.is_none()
    }

    async fn act(&self, ended: &Ended, cursor: Cursor) -> Result<(), FollowError> {
        let rest = match ended.state {
            RunState::Aborted => Rest::Aborted,
            _ => Rest::Ended { errored: BTreeSet::new(), stopped: None },
        };
        let (run_id, generation, test_count) = (ended.run_id, ended.generation, ended.test_count);
        let planned = match generation {
            ..=1 => None,
            _ => match self.planned(run_id, generation).await? {
                Some(planned) => Some(planned),
                None => return self.advance(cursor).await,
            },
        };
        let ending = Ending { generation, test_count, planned, rest };
        self.store.seal_at(run_id, &ending, cursor).await.map_err(FollowError::Store)
    }
}
