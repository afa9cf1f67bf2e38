//! `gauntlet environment`: base URL, variables and secrets of a project's targets.
//!
//! A secret's value is read from a file, since others on the machine see the words of a command. It is never printed. Secrets
//! that are stored and not mentioned stay: their names are read first, and a name that somebody removes meanwhile is refused.

use crate::cli::environment::{EnvironmentCommand, ListArgs, PutArgs};
use crate::client::Mesh;
use crate::commands::mesh_of;
use crate::failure::Failure;
use crate::{names, output};
use gauntlet_proto::v1;
use gauntlet_runtime::Exit;
use std::collections::BTreeMap;
use std::io::Read as _;

/// Environments read at once.
const PAGE_SIZE: i32 = 1_000;

/// Carries out `gauntlet environment`.
pub(crate) async fn environment(command: EnvironmentCommand) -> Result<Exit, Failure> {
    match command {
        EnvironmentCommand::Put(args) => put(args).await,
        EnvironmentCommand::List(args) => list(args).await,
    }
}

async fn put(args: PutArgs) -> Result<Exit, Failure> {
    let secrets = args.secrets.iter().map(|(name, file)| Ok((name.clone(), value_in(file)?)));
    let secrets = secrets.collect::<Result<Vec<_>, Failure>>()?;
    let mesh = mesh_of(&args.target).await?;
    let stored = all(&mesh, &args.project).await?;
    let before = stored.into_iter().find(|environment| environment.name == args.name);
    let mut kept = before.map(|environment| environment.secret_names).unwrap_or_default();
    if let Some(unknown) = args.removed.iter().find(|name| !kept.contains(name)) {
        return Err(Failure::Usage(format!("{} has no secret {unknown}", args.name)));
    }
    kept.retain(|name| !args.removed.contains(name));
    let environment = v1::Environment {
        project: args.project,
        name: args.name,
        base_url: args.base_url,
        variables: args.variables.into_iter().collect(),
        secret_names: kept,
        egress: Some(v1::Egress { allow: args.egress_allow, deny: args.egress_deny }),
    };
    let request = v1::PutEnvironmentRequest {
        environment: Some(environment),
        secrets: secrets.into_iter().collect(),
    };
    let reply = mesh
        .call("cannot store the environment", request, |mut mesh, request| async move {
            mesh.scheduler.put_environment(request).await
        })
        .await?;
    output::line(&row(&reply.environment.unwrap_or_default()));
    Ok(Exit::Clean)
}

/// Returns the secret in a file, or on standard input.
fn value_in(file: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match file {
        "-" => std::io::stdin().read_to_string(&mut text).map(drop),
        file => std::fs::read_to_string(file).map(|read| text = read),
    };
    read.map_err(|error| Failure::Usage(format!("cannot read a secret from {file}: {error}")))?;
    let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    Ok(line.unwrap_or(&text).to_owned())
}

async fn list(args: ListArgs) -> Result<Exit, Failure> {
    let mesh = mesh_of(&args.target).await?;
    let environments = all(&mesh, &args.project).await?;
    if args.json {
        let listed: Vec<_> = environments.iter().map(document).collect();
        let text = serde_json::to_string_pretty(&serde_json::json!({ "environments": listed }));
        output::line(&text.unwrap_or_default());
        return Ok(Exit::Clean);
    }
    environments.iter().for_each(|environment| output::line(&row(environment)));
    if environments.is_empty() {
        output::note("no environments");
    }
    Ok(Exit::Clean)
}

/// Returns every environment of a project, by name.
async fn all(mesh: &Mesh, project: &str) -> Result<Vec<v1::Environment>, Failure> {
    let mut request = v1::ListEnvironmentsRequest {
        project: project.to_owned(),
        page_size: PAGE_SIZE,
        page_token: String::new(),
    };
    let mut environments = Vec::new();
    loop {
        let reply = mesh
            .call("cannot list environments", request.clone(), |mut mesh, request| async move {
                mesh.scheduler.list_environments(request).await
            })
            .await?;
        environments.extend(reply.environments);
        request.page_token = reply.next_page_token;
        if request.page_token.is_empty() {
            return Ok(environments);
        }
    }
}

fn document(environment: &v1::Environment) -> serde_json::Value {
    let variables: BTreeMap<_, _> = environment.variables.iter().collect();
    serde_json::json!({
        "project": environment.project,
        "name": environment.name,
        "base_url": environment.base_url,
        "variables": variables,
        "secrets": environment.secret_names,
        "egress": environment.egress.as_ref().map(|egress| {
            serde_json::json!({ "allow": egress.allow, "deny": egress.deny })
        }),
    })
}

fn row(environment: &v1::Environment) -> String {
    let v1::Environment { name, base_url, variables, secret_names, egress, .. } = environment;
    let base_url = if base_url.is_empty() { "-" } else { base_url };
    let variables = names::counted(i32::try_from(variables.len()).unwrap_or(i32::MAX), "variable");
    let secrets = if secret_names.is_empty() {
        "no secrets".to_owned()
    } else {
        format!("secrets {}", secret_names.join(", "))
    };
    let egress = egress.as_ref().map_or_else(String::new, |v1::Egress { allow, deny }| {
        let listed = |what: &str, hosts: &[String]| match hosts {
            [] => String::new(),
            hosts => format!("  {what} {}", hosts.join(", ")),
        };
        listed("allows", allow) + &listed("denies", deny)
    });
    format!("{name}  {base_url}  {variables}  {secrets}{egress}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_tells_whom_its_pages_may_reach() {
        let mut environment = v1::Environment { name: "staging".to_owned(), ..Default::default() };
        assert_eq!(row(&environment), "staging  -  0 variables  no secrets");
        let deny = vec!["a.example".to_owned(), "10.0.0.0/8".to_owned()];
        environment.egress = Some(v1::Egress { allow: Vec::new(), deny });
        assert!(row(&environment).ends_with("no secrets  denies a.example, 10.0.0.0/8"));
    }

    #[test]
    fn a_secret_is_all_of_its_file_but_one_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        for (text, value) in
            [("a b\n", "a b"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a "), ("", "")]
        {
            std::fs::write(&file, text).unwrap();
            assert_eq!(value_in(&file.display().to_string()).unwrap(), value);
        }
        let missing = value_in(&folder.path().join("none").display().to_string());
        assert!(matches!(missing, Err(Failure::Usage(_))));
    }
}
