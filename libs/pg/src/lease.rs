//! A connection on loan, which goes back to the pool only when its work ended in an orderly way.
//!
//! Owns the decision to discard. Work that was dropped midway (a client-side timeout, a caller that went away) may still
//! run on the server and hold locks there, so the statement is cancelled and the connection closed; the next borrower
//! never sees it.

use deadpool_postgres::Object;
use std::time::Duration;
use tokio_postgres::NoTls;

/// How long the request to cancel an abandoned statement may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) struct Lease(Option<Object>);

impl Lease {
    pub(crate) fn new(object: Object) -> Self {
        Self(Some(object))
    }

    #[expect(
        clippy::expect_used,
        reason = "the object leaves only by methods that consume the lease"
    )]
    pub(crate) fn client(&mut self) -> &mut Object {
        self.0.as_mut().expect("a lease holds its connection until it ends")
    }

    /// Ends the loan in an orderly way.
    pub(crate) fn give_back(mut self) {
        drop(self.0.take());
    }

    /// Ends the loan of a connection that is known to be lost.
    pub(crate) fn discard(mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(object) = self.0.take() else { return };
        let client = Object::take(object);
        let cancel = client.cancel_token();
        drop(client);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // Best effort and short: when it fails, the server's own statement timeout ends the statement.
        runtime.spawn(async move {
            let _ = tokio::time::timeout(CANCEL_TIMEOUT, cancel.cancel_query(NoTls)).await;
        });
    }
}
