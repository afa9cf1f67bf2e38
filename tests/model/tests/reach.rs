//! Whether every state still leads to the end.
//!
//! "Eventually" is checked as "from every state, some way without further faults leads to a settled one": a lock-up is a
//! state from which none does. The graph is built here, since the checker keeps none.

use crate::world::{Scenario, World};
use stateright::Model;
use std::collections::HashMap;
use std::collections::VecDeque;

/// Returns how many states there are, and one from which nothing leads to the end.
pub(crate) fn find_lockup(scenario: &Scenario) -> (usize, Option<World>) {
    let mut worlds: Vec<World> = scenario.init_states();
    let mut index: HashMap<u64, usize> = HashMap::new();
    let mut sources: Vec<Vec<u32>> = vec![Vec::new()];
    index.insert(fingerprint(&worlds[0]), 0);
    let mut at = 0;
    while at < worlds.len() {
        let mut steps = Vec::new();
        scenario.actions(&worlds[at], &mut steps);
        for step in steps {
            let fault = step.is_fault();
            let Some(next) = scenario.next_state(&worlds[at], step) else { continue };
            let target = *index.entry(fingerprint(&next)).or_insert_with(|| {
                worlds.push(next);
                sources.push(Vec::new());
                worlds.len() - 1
            });
            if !fault {
                sources[target].push(u32::try_from(at).expect("fewer than four billion states"));
            }
        }
        at += 1;
    }
    let mut leads = vec![false; worlds.len()];
    let mut open: VecDeque<usize> = (0..worlds.len()).filter(|n| worlds[*n].is_settled()).collect();
    open.iter().for_each(|n| leads[*n] = true);
    while let Some(state) = open.pop_front() {
        for source in &sources[state] {
            if !std::mem::replace(&mut leads[*source as usize], true) {
                open.push_back(*source as usize);
            }
        }
    }
    let lockup = leads.iter().position(|leads| !leads);
    (worlds.len(), lockup.map(|n| worlds[n].clone()))
}

fn fingerprint(world: &World) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}
