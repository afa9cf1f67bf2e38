//! Handlers of environments. Secrets go in and never come out: what is answered names them, only grants carry their values.

use super::Handlers;
use super::convert::{page_key, page_token};
use super::error::CallError;
use super::requests::{check_url, check_variables, name, project};
use crate::store::catalog::EnvironmentRow;
use crate::vault::Sealed;
use gauntlet_core::egress::{EGRESS_PATTERNS_MAX, EgressRules};
use gauntlet_proto::edge::{self, Violations};
use gauntlet_proto::v1;
use gauntlet_rpc::{invalid_fields, status};
use tonic::Status;

/// Puts an environment in the place of the one before. Of its secrets those stay that the request names.
pub(crate) async fn put(
    h: &Handlers,
    request: v1::PutEnvironmentRequest,
) -> Result<v1::PutEnvironmentResponse, Status> {
    let v1::PutEnvironmentRequest { environment, secrets } = request;
    let environment = environment.unwrap_or_default();
    let mut violations = Violations::default();
    let project = violations.take(project(environment.project).map_err(|v| v.scope("environment")));
    violations.take(name("environment.name", &environment.name));
    if !environment.base_url.is_empty() {
        check_url("environment.base_url", &environment.base_url, &mut violations);
    }
    check_variables("environment.variables", &environment.variables, &mut violations);
    check_variables("secrets", &secrets, &mut violations);
    let egress = environment.egress.unwrap_or_default();
    check_egress("environment.egress", &egress, &mut violations);
    let project = project.unwrap_or_default();
    let mut sealed = Sealed::new(&project, &environment.name);
    if !environment.secret_names.is_empty() {
        let before = h.store.find_environment(&project, &environment.name).await;
        let before = before.map_err(|error| status(&CallError::Store(error)))?.unwrap_or_default();
        if !before.secrets.is_empty() {
            let parsed = Sealed::parse(&before.secrets);
            sealed = parsed.map_err(|error| status(&CallError::Vault(error)))?;
        }
        let missing =
            environment.secret_names.iter().find(|kept| !sealed.names().any(|n| n == *kept));
        violations.check(
            missing.is_none(),
            "environment.secret_names",
            "names one that is not there",
        );
        sealed.retain(|name| environment.secret_names.iter().any(|kept| kept == name));
    }
    violations.finish().map_err(|v| invalid_fields(&v))?;
    for (name, value) in &secrets {
        let put = h.vault.seal(&mut sealed, name, value);
        put.map_err(|error| status(&CallError::Vault(error)))?;
    }
    let row = EnvironmentRow {
        name: environment.name,
        base_url: environment.base_url,
        variables: environment.variables.into_iter().collect(),
        secrets: sealed.stored(),
        egress,
    };
    let stored = h.store.put_environment(&project, &row).await;
    stored.map_err(|error| status(&CallError::Store(error)))?;
    let environment = Some(wire(&project, row)?);
    Ok(v1::PutEnvironmentResponse { environment })
}

/// Checks whom pages may reach.
fn check_egress(field: &str, egress: &v1::Egress, violations: &mut Violations) {
    for (list, entries) in [("allow", &egress.allow), ("deny", &egress.deny)] {
        let few = entries.len() <= EGRESS_PATTERNS_MAX;
        let rule = format!("at most {EGRESS_PATTERNS_MAX} entries");
        violations.check(few, &format!("{field}.{list}"), rule);
    }
    if let Err(error) = EgressRules::parse(&egress.allow, &egress.deny) {
        let at = format!("{field}.{}[{}]", error.list, error.index);
        violations.check(false, &at, error.source.to_string());
    }
}

pub(crate) async fn list(
    h: &Handlers,
    request: v1::ListEnvironmentsRequest,
) -> Result<v1::ListEnvironmentsResponse, Status> {
    let project = project(request.project).map_err(|v| invalid_fields(&[v]))?;
    let size = edge::page_size(request.page_size).map_err(|v| invalid_fields(&[v]))?;
    let filter = [project.as_str()];
    let key = page_key(&filter, &request.page_token, 1).map_err(|error| status(&error))?;
    let after = key.as_ref().map_or("", |key| key[0].as_str());
    let rows = h.store.list_environments(&project, after, size + 1).await;
    let mut rows = rows.map_err(|error| status(&CallError::Store(error)))?;
    let more = rows.len() > size;
    rows.truncate(size);
    let next = rows.last().filter(|_| more);
    let next_page_token =
        next.map(|row| page_token(&filter, vec![row.name.clone()])).unwrap_or_default();
    let environments = rows.into_iter().map(|row| wire(&project, row));
    let environments = environments.collect::<Result<_, _>>()?;
    Ok(v1::ListEnvironmentsResponse { environments, next_page_token })
}

fn wire(project: &str, row: EnvironmentRow) -> Result<v1::Environment, Status> {
    let sealed = Sealed::parse(&row.secrets).map_err(|error| status(&CallError::Vault(error)))?;
    Ok(v1::Environment {
        project: project.to_owned(),
        name: row.name,
        base_url: row.base_url,
        variables: row.variables.into_iter().collect(),
        secret_names: sealed.names().cloned().collect(),
        egress: Some(row.egress).filter(|egress| *egress != v1::Egress::default()),
    })
}
