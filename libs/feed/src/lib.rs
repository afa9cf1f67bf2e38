//! Following the scheduler's feed: how a service learns that runs have ended.
//!
//! Owns the connection: opening the stream where the service stands, opening it again when it broke or fell silent,
//! starting over when the feed was restored, and passing over what cannot be understood. It stores nothing. The service
//! brings a [`Subscriber`], which moves its cursor in the transaction that acts on an event; so a crash anywhere repeats
//! an event and never loses one.
//!
//! ```ignore
//! impl Subscriber for Store {
//!     type Error = StoreError;
//!     async fn act(&self, ended: &Ended, cursor: Cursor) -> Result<(), StoreError> {
//!         self.pool.transact(&TakeEvent { delivery: delivery(ended), cursor }).await
//!     }
//!     // … and three queries on the table of cursors
//! }
//! lifecycle.spawn("follow", Follower::new(store, scheduler, &lifecycle).run());
//! ```

mod event;
mod follower;

pub use event::{Cursor, Ended};
pub use follower::{Follower, SILENCE_MAX, Subscriber};
