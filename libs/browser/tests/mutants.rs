//! Zero false passes (G4): every correct flow is spoilt in every way that fits one of its steps, and each mutant must fail at
//! the right step with the right class.

use std::{collections::BTreeSet, path::Path, time::Duration};

use gauntlet_browser::{BrowserSlot, TestResult};
use gauntlet_core::flow::Flow;

use crate::{
    flows,
    mutations::{At, Mutant, mutants},
    site,
    support::{config, run, turn},
};

/// Browsers that run mutants at the same time; most of a mutant's time is waiting.
const SLOTS: usize = 3;
/// How long a step that must fail may wait for what never comes.
const PATIENCE: Duration = Duration::from_millis(700);

async fn survivors(slot: &mut BrowserSlot, mutants: Vec<Mutant>) -> Vec<String> {
    let mut wrong = Vec::new();
    for mutant in mutants {
        let outcome = run(slot, &mutant.flow).await;
        let right = match &outcome.result {
            TestResult::Failed(failure) => {
                let index = failure.step_index;
                let there = match mutant.at {
                    At::Step(step) => index == step,
                    At::Since(step) => index >= step,
                };
                there && mutant.classes.contains(&failure.class) && outcome.screenshot.is_some()
            }
            _ => false,
        };
        if !right {
            let Mutant { flow, name, at, classes } = mutant;
            wrong.push(format!(
                "{}: {name}, wants {at:?} {classes:?}: {:?}",
                flow.title, outcome.result
            ));
        }
    }
    wrong
}

/// Runs the mutants in several browsers, and returns those that did not fail as they should.
async fn run_all(marker: &str, mutants: Vec<Mutant>) -> Vec<String> {
    let mut shares: Vec<Vec<Mutant>> = (0..SLOTS).map(|_| Vec::new()).collect();
    for (index, mutant) in mutants.into_iter().enumerate() {
        shares[index % SLOTS].push(mutant);
    }
    let runs = shares.into_iter().enumerate().map(|(index, share)| async move {
        let mut slot = BrowserSlot::new(config(&format!("{marker}-{index}")));
        survivors(&mut slot, share).await
    });
    futures_util::future::join_all(runs).await.concat()
}

/// The correct recordings of every format that is imported.
fn imported(base: &str) -> Vec<Flow> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats");
    let mut all = Vec::new();
    for file in std::fs::read_dir(folder).expect("formats").flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let bytes = std::fs::read(file.path()).expect("readable");
        for mut flow in gauntlet_recordings::import(&bytes, &name).expect("valid") {
            flow.rebase(base);
            flow.title.clone_from(&name);
            all.push(flow);
        }
    }
    all
}

/// Returns the mutants of flows that pass.
async fn spoilt(flows: &[Flow]) -> Vec<Mutant> {
    let mut slot = BrowserSlot::new(config("correct"));
    let mut all = Vec::new();
    for flow in flows {
        let outcome = run(&mut slot, flow).await;
        assert_eq!(outcome.result, TestResult::Passed, "{}", flow.title);
        let performed = outcome.steps.iter().map(|step| step.index).collect();
        all.extend(mutants(flow, &performed, PATIENCE));
    }
    slot.stop().await;
    all
}

/// One mutant of each mutation of each kind of step.
#[tokio::test]
async fn g4_every_mutation_of_every_kind_of_step_fails_at_the_right_step() {
    let _turn = turn().await;
    let base = site::start().await;
    let mut seen = BTreeSet::new();
    let mut mutants = spoilt(&flows::all(&base)).await;
    mutants.retain(|mutant| seen.insert(mutant.name.clone()));
    assert!(mutants.len() > 80, "{}", mutants.len());
    let wrong = run_all("mutants", mutants).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// One mutant of each mutation of each format.
#[tokio::test]
async fn g4_every_format_passes_and_every_mutation_of_it_fails_at_the_right_step() {
    let _turn = turn().await;
    let base = site::start().await;
    let flows = imported(&base);
    assert_eq!(flows.len(), 4, "Recorder, Selenium IDE, SaveAction and Gauntlet's own");
    let mut seen = BTreeSet::new();
    let mut mutants = spoilt(&flows).await;
    let what = |name: &str| name.split(':').next().unwrap_or_default().to_owned();
    mutants.retain(|mutant| seen.insert((mutant.flow.title.clone(), what(&mutant.name))));
    assert!(mutants.len() > 30, "{}", mutants.len());
    let wrong = run_all("formats", mutants).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
#[ignore = "takes minutes: every mutation of every step"]
async fn g4_every_mutant_fails_at_the_right_step() {
    let _turn = turn().await;
    let base = site::start().await;
    let mutants = spoilt(&[flows::all(&base), imported(&base)].concat()).await;
    println!("{} mutants", mutants.len());
    let wrong = run_all("all-mutants", mutants).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}
