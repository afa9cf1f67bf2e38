//! `NotifierService`: what became of deliveries.

use crate::store::{DeliveryRow, Store};
use gauntlet_core::RunId;
use gauntlet_pg::{PgError, Retry};
use gauntlet_proto::edge;
use gauntlet_proto::v1::{self, notifier_service_server::NotifierService};
use gauntlet_rpc::{Reason, ToStatus, invalid_fields, status};
use tonic::{Request, Response, Status};
use url::Url;

#[derive(Debug, thiserror::Error)]
#[error("the store failed")]
struct StoreFailed(#[source] PgError);

impl ToStatus for StoreFailed {
    fn reason(&self) -> Reason {
        match self.0.retry() {
            Retry::SameCall { .. } => Reason::StoreUnavailable,
            Retry::WholeTransaction => Reason::Conflict,
            Retry::Never => Reason::Internal,
        }
    }
}

/// The handlers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handlers {
    pub(crate) store: Store,
}

#[tonic::async_trait]
impl NotifierService for Handlers {
    async fn list_deliveries(
        &self,
        request: Request<v1::ListDeliveriesRequest>,
    ) -> Result<Response<v1::ListDeliveriesResponse>, Status> {
        let run_id = edge::uuid("run_id", &request.into_inner().run_id);
        let run_id = run_id.map(RunId).map_err(|v| invalid_fields(&[v]))?;
        let rows = self.store.list_deliveries(run_id).await;
        let rows = rows.map_err(|error| status(&StoreFailed(error)))?;
        let deliveries = rows.into_iter().map(delivery).collect();
        Ok(Response::new(v1::ListDeliveriesResponse { deliveries }))
    }
}

fn delivery(row: DeliveryRow) -> v1::Delivery {
    let state = match row.state.as_str() {
        "SUCCEEDED" => v1::DeliveryState::Succeeded,
        "DEAD" => v1::DeliveryState::Dead,
        _ => v1::DeliveryState::Pending,
    };
    let pending = state == v1::DeliveryState::Pending;
    v1::Delivery {
        delivery_id: row.delivery_id,
        run_id: row.run_id.to_string(),
        generation: row.generation,
        url: without_secrets(&row.url),
        state: state.into(),
        attempt_count: row.attempt_count,
        last_error: row.last_error,
        create_time: Some(edge::timestamp(row.created_at)),
        next_attempt_time: pending.then(|| edge::timestamp(row.next_attempt_at)),
    }
}

/// Returns a URL without what may be secret: credentials, query, fragment.
fn without_secrets(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return String::new() };
    url.set_query(None);
    url.set_fragment(None);
    // A URL that can have no credentials has none to hide.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}
