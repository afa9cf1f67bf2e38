//! What a status says besides its reason.
//!
//! Owns the shape of the `google.rpc` details; each type appears at most once. It does not choose the code.

use crate::{Reason, reason::name_of};
use std::{collections::HashMap, time::Duration};
use tonic_types::ErrorDetails;

/// Domain of every `ErrorInfo`.
pub(crate) const DOMAIN: &str = "gauntlet.dev";

/// Gathers the details of one error; given to [`crate::ToStatus::details`].
#[derive(Debug, Default)]
pub struct Details {
    metadata: HashMap<String, String>,
    inner: ErrorDetails,
}

impl Details {
    /// Adds an entry to the metadata of `ErrorInfo`: everything variable in the message belongs here too.
    pub fn metadata(&mut self, key: &str, value: impl ToString) -> &mut Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// Adds a malformed field to `BadRequest`.
    pub fn violation(
        &mut self,
        field: impl Into<String>,
        description: impl Into<String>,
    ) -> &mut Self {
        self.inner.add_bad_request_violation(field, description);
        self
    }

    /// Sets `ResourceInfo`: the kind of thing, and its name such as `runs/{run_id}`.
    pub fn resource(&mut self, kind: &str, name: impl Into<String>) -> &mut Self {
        self.inner.set_resource_info(kind, name, "", "");
        self
    }

    /// Adds a broken precondition, such as type `LEASE` of subject `runs/{run_id}/shards/3`.
    pub fn precondition(
        &mut self,
        kind: &str,
        subject: impl Into<String>,
        description: impl Into<String>,
    ) -> &mut Self {
        self.inner.add_precondition_failure_violation(kind, subject, description);
        self
    }

    /// Adds an exhausted quota.
    pub fn quota(
        &mut self,
        subject: impl Into<String>,
        description: impl Into<String>,
    ) -> &mut Self {
        self.inner.add_quota_failure_violation(subject, description);
        self
    }

    /// Sets how long the caller should wait; a default is sent with the codes that may be retried.
    pub fn retry_after(&mut self, delay: Duration) -> &mut Self {
        self.inner.set_retry_info(Some(delay));
        self
    }

    pub(crate) fn has_retry(&self) -> bool {
        self.inner.retry_info().is_some()
    }

    pub(crate) fn finish(mut self, reason: Reason, request_id: Option<String>) -> ErrorDetails {
        self.inner.set_error_info(name_of(reason), DOMAIN, self.metadata);
        if let Some(request_id) = request_id {
            self.inner.set_request_info(request_id, "");
        }
        self.inner
    }
}
