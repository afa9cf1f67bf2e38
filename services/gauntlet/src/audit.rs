//! `gauntlet audit`: whether the mesh keeps its invariants, as a table or as JSON.
//!
//! Without a run it tells what the continuous audit knows; with one, that run is audited now.

use crate::cli::AuditArgs;
use crate::commands::mesh_of;
use crate::failure::Failure;
use crate::output;
use crate::report::document::time;
use gauntlet_proto::v1;
use gauntlet_runtime::Exit;
use serde_json::json;

/// Some invariant does not hold.
const EXIT_VIOLATED: u8 = 1;

/// Prints what was checked and found.
pub(crate) async fn audit(args: AuditArgs) -> Result<Exit, Failure> {
    let mesh = mesh_of(&args.target).await?;
    let (invariants, violations) = match args.run_id {
        Some(run_id) => mesh.audit_run(&run_id).await?,
        None => mesh.audit_ledger().await?,
    };
    let rendered = if args.json { document } else { table };
    output::line(rendered(&invariants, &violations).trim_end());
    if invariants.is_empty() {
        output::note("nothing was audited yet");
    }
    let clean = violations.is_empty() && invariants.iter().all(|i| i.violation_count == 0);
    Ok(if clean { Exit::Clean } else { Exit::Code(EXIT_VIOLATED) })
}

fn table(invariants: &[v1::InvariantAudit], violations: &[v1::InvariantViolation]) -> String {
    let mut text = format!(
        "{:<9}  {:<9}  {:<20}  {:>10}  {:>10}\n",
        "INVARIANT", "SERVICE", "CHECKED", "RUNS", "VIOLATIONS"
    );
    for invariant in invariants {
        let v1::InvariantAudit { invariant, service, check_time, run_count, violation_count } =
            invariant;
        let at = time(check_time.as_ref()).unwrap_or_default();
        let at = at.split('.').next().unwrap_or_default().trim_end_matches('Z');
        text.push_str(&format!(
            "{invariant:<9}  {service:<9}  {at:<20}  {run_count:>10}  {violation_count:>10}\n"
        ));
    }
    for violation in violations {
        let v1::InvariantViolation { invariant, run_id, what, .. } = violation;
        text.push_str(&format!("{invariant}  {run_id}  {what}\n"));
    }
    text
}

fn document(invariants: &[v1::InvariantAudit], violations: &[v1::InvariantViolation]) -> String {
    let invariants = invariants.iter().map(|i| {
        json!({
            "invariant": i.invariant, "service": i.service, "checked_at": time(i.check_time.as_ref()),
            "runs": i.run_count, "violations": i.violation_count,
        })
    });
    let violations = violations.iter().map(|v| {
        json!({
            "invariant": v.invariant, "service": v.service, "run_id": v.run_id, "what": v.what,
            "found_at": time(v.find_time.as_ref()),
        })
    });
    let (invariants, violations): (Vec<_>, Vec<_>) = (invariants.collect(), violations.collect());
    let document = json!({ "invariants": invariants, "violations": violations });
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_each_invariant_and_then_what_breaks_it() {
        let audited = v1::InvariantAudit {
            invariant: "RN-4".to_owned(),
            service: "scheduler".to_owned(),
            run_count: 7,
            violation_count: 1,
            ..Default::default()
        };
        let broken = v1::InvariantViolation {
            invariant: "RN-4".to_owned(),
            run_id: "0190".to_owned(),
            what: "a gap".to_owned(),
            ..Default::default()
        };
        let (audited, broken) = ([audited], [broken]);
        let text = table(&audited, &broken);
        let lines: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["RN-4", "scheduler", "7", "1"]);
        assert_eq!(lines[2], ["RN-4", "0190", "a", "gap"]);
        let document: serde_json::Value =
            serde_json::from_str(&document(&audited, &broken)).unwrap();
        assert_eq!(document["invariants"][0]["violations"], 1);
        assert_eq!(document["violations"][0]["what"], "a gap");
    }
}
