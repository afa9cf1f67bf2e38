//! The feed: two transactions append an event each to one lane, a subscriber follows by cursor and may die at any moment.
//!
//! FD-1: an event at or below the cursor has been acted on. It holds because a position is taken under the lane's lock,
//! which is kept until the commit, and because the cursor moves in the transaction that acts.

use stateright::{Checker, Model, Path, Property};
use std::collections::BTreeSet;

/// Transactions that append.
const WRITERS: usize = 3;
const FD_1: &str = "FD-1";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    Real,
    /// A position is taken without the lane's lock.
    PositionWithoutLock,
    /// The cursor moves before the subscriber acts.
    CursorFirst,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Writer {
    Working,
    Positioned(u8),
    Committed(u8),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Feed {
    writers: [Writer; WRITERS],
    last_position: u8,
    /// Durable.
    cursor: u8,
    /// Durable.
    acted_on: BTreeSet<u8>,
    /// Read and not yet acted on: memory of the subscriber.
    page: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    TakePosition(usize),
    Commit(usize),
    Read,
    Act,
    Crash,
}

impl Model for Rules {
    type State = Feed;
    type Action = Step;

    fn init_states(&self) -> Vec<Feed> {
        let writers = [Writer::Working; WRITERS];
        vec![Feed { writers, last_position: 0, cursor: 0, acted_on: BTreeSet::new(), page: vec![] }]
    }

    fn actions(&self, feed: &Feed, steps: &mut Vec<Step>) {
        let locked = feed.writers.iter().any(|writer| matches!(writer, Writer::Positioned(_)));
        for (n, writer) in feed.writers.iter().enumerate() {
            match writer {
                Writer::Working if !locked || *self == Self::PositionWithoutLock => {
                    steps.push(Step::TakePosition(n));
                }
                Writer::Positioned(_) => steps.push(Step::Commit(n)),
                Writer::Working | Writer::Committed(_) => {}
            }
        }
        steps.extend([Step::Read, Step::Act, Step::Crash]);
    }

    fn next_state(&self, feed: &Feed, step: Step) -> Option<Feed> {
        let mut next = feed.clone();
        match step {
            Step::TakePosition(n) => {
                next.last_position += 1;
                next.writers[n] = Writer::Positioned(next.last_position);
            }
            Step::Commit(n) => {
                if let Writer::Positioned(position) = feed.writers[n] {
                    next.writers[n] = Writer::Committed(position);
                }
            }
            Step::Read => {
                let mut page: Vec<u8> = feed.committed().filter(|p| *p > feed.cursor).collect();
                page.sort_unstable();
                next.page = page;
                if *self == Self::CursorFirst {
                    next.cursor = next.page.last().copied().unwrap_or(feed.cursor);
                }
            }
            Step::Act => {
                let first = next.page.first().copied()?;
                next.page.remove(0);
                next.acted_on.insert(first);
                next.cursor = first.max(feed.cursor);
            }
            Step::Crash => next.page.clear(),
        }
        (next != *feed).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(FD_1, |rules: &Self, feed: &Feed| {
                // With the cursor first, what is in memory still counts as being acted on.
                let pending = |p: &u8| *rules == Self::CursorFirst && feed.page.contains(p);
                let mut past = feed.committed().filter(|p| *p <= feed.cursor);
                past.all(|p| feed.acted_on.contains(&p) || pending(&p))
            }),
            Property::sometimes("everything is acted on", |_, feed: &Feed| {
                feed.acted_on.len() == WRITERS
            }),
        ]
    }
}

impl Feed {
    fn committed(&self) -> impl Iterator<Item = u8> {
        self.writers.iter().filter_map(|writer| match writer {
            Writer::Committed(position) => Some(*position),
            Writer::Working | Writer::Positioned(_) => None,
        })
    }
}

fn find(rules: Rules) {
    let shortest = (1..20).find_map(|depth| {
        let checker = rules.checker().threads(1).target_max_depth(depth).spawn_bfs().join();
        checker.discovery(FD_1).map(Path::into_actions)
    });
    let steps = shortest.unwrap_or_else(|| panic!("{rules:?} does not break {FD_1}"));
    println!("{rules:?} breaks {FD_1}: {steps:?}");
}

#[test]
fn fd1_no_cursor_passes_an_event_that_was_not_acted_on() {
    let checker = Rules::Real.checker().threads(1).spawn_bfs().join();
    println!(
        "feed: {} states, {} of them different",
        checker.state_count(),
        checker.unique_state_count()
    );
    checker.assert_properties();
}

#[test]
fn fd1_a_position_without_the_lock_is_skipped() {
    find(Rules::PositionWithoutLock);
}

#[test]
fn fd1_a_cursor_that_moves_first_loses_events_in_a_crash() {
    find(Rules::CursorFirst);
}
