//! `NotifierService`: what became of deliveries.

use crate::store::{DeliveryRow, Store};
use gauntlet_core::RunId;
use gauntlet_pg::{PgError, Retry};
use gauntlet_proto::edge;
use gauntlet_proto::v1::{self, notifier_service_server::NotifierService};
use gauntlet_rpc::{Reason, ToStatus, invalid_fields, status};
use jiff::Timestamp;
use tonic::{Request, Response, Status};
use url::Url;

#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("the store failed")]
    Store(#[source] PgError),
    #[error("the page token does not belong to this list")]
    PageToken,
}

impl ToStatus for CallError {
    fn reason(&self) -> Reason {
        match self {
            Self::Store(error) => match error.retry() {
                Retry::SameCall { .. } => Reason::StoreUnavailable,
                Retry::WholeTransaction => Reason::Conflict,
                Retry::Never => Reason::Internal,
            },
            Self::PageToken => Reason::PageTokenInvalid,
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
        let request = request.into_inner();
        let run_id = edge::uuid("run_id", &request.run_id);
        let run_id = run_id.map(RunId).map_err(|v| invalid_fields(&[v]))?;
        let size = edge::page_size(request.page_size).map_err(|v| invalid_fields(&[v]))?;
        let after = page_key(run_id, &request.page_token).map_err(|error| status(&error))?;
        let rows = self.store.list_deliveries(run_id, &after, size + 1).await;
        let mut rows = rows.map_err(|error| status(&CallError::Store(error)))?;
        let more = rows.len() > size;
        rows.truncate(size);
        let last = rows.last().filter(|_| more);
        let next_page_token = last.map(page_token).unwrap_or_default();
        let deliveries = rows.into_iter().map(delivery).collect();
        Ok(Response::new(v1::ListDeliveriesResponse { deliveries, next_page_token }))
    }
}

/// Returns the token of the page after a delivery, `<run>.<microseconds>.<delivery>`: opaque to clients by contract.
fn page_token(last: &DeliveryRow) -> String {
    format!("{}.{}.{}", last.run_id, last.created_at.as_microsecond(), last.delivery_id)
}

/// Returns age and id of the delivery that a page starts after; a token of another list is refused.
fn page_key(run_id: RunId, token: &str) -> Result<(Timestamp, String), CallError> {
    if token.is_empty() {
        return Ok((Timestamp::UNIX_EPOCH, String::new()));
    }
    let key = token.strip_prefix(&format!("{run_id}.")).and_then(|rest| rest.split_once('.'));
    let (micros, delivery_id) = key.ok_or(CallError::PageToken)?;
    let micros = micros.parse().map_err(|_| CallError::PageToken)?;
    let created_at = Timestamp::from_microsecond(micros).map_err(|_| CallError::PageToken)?;
    Ok((created_at, delivery_id.to_owned()))
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
