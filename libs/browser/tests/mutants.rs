//! Zero false passes (G4): every correct flow is spoilt in every way that fits one of its steps, and each mutant must fail at
//! the right step with the right class.

use std::{collections::BTreeSet, time::Duration};

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

fn spoilt(flows: &[Flow]) -> Vec<Mutant> {
    flows.iter().flat_map(|flow| mutants(flow, PATIENCE)).collect()
}

/// One mutant of each mutation of each kind of step.
#[tokio::test]
async fn g4_every_mutation_of_every_kind_of_step_fails_at_the_right_step() {
    let _turn = turn().await;
    let base = site::start().await;
    let mut seen = BTreeSet::new();
    let mut mutants = spoilt(&flows::all(&base));
    mutants.retain(|mutant| seen.insert(mutant.name.clone()));
    assert!(mutants.len() > 80, "{}", mutants.len());
    let wrong = run_all("mutants", mutants).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
#[ignore = "takes minutes: every mutation of every step"]
async fn g4_every_mutant_fails_at_the_right_step() {
    let _turn = turn().await;
    let base = site::start().await;
    let mutants = spoilt(&flows::all(&base));
    println!("{} mutants", mutants.len());
    let wrong = run_all("all-mutants", mutants).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}
