//! Every order of the statements of two sides, depth first.

use crate::footprint::Footprint;
use crate::side::{Side, Stand};
use crate::world::World;
use gauntlet_pg::step::COMMIT;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Client;

/// Positions by lane.
type Feed = BTreeMap<i16, BTreeSet<i64>>;

/// Orders of one pair; more are not tried, and said so.
const ORDERS_MAX: usize = 400;

/// A place where the order could have gone on otherwise.
#[derive(Debug)]
struct Choice {
    taken: usize,
    /// Whether the other side, B after A, is still to be tried here.
    has_other: bool,
}

/// How one order ended.
pub(crate) struct Ended {
    /// The statements in the order in which they ran.
    pub(crate) order: Vec<String>,
    /// What the callers were told.
    pub(crate) answers: [String; 2],
}

/// Goes through the orders: asks for the next, and is told which choices it had.
#[derive(Default)]
pub(crate) struct Explorer {
    path: Vec<Choice>,
    pub(crate) count: usize,
    /// Whether there were more orders than are tried.
    pub(crate) is_cut: bool,
    /// Whether two that wait for each other are left to Postgres.
    repeats: bool,
    /// How often they were.
    pub(crate) rings: usize,
}

impl Explorer {
    /// Lets two wait for each other: Postgres ends one of them, which is repeated.
    pub(crate) fn that_repeats() -> Self {
        Self { repeats: true, ..Self::default() }
    }

    /// Returns whether there is another order, and prepares it.
    pub(crate) fn next(&mut self) -> bool {
        if self.count > 0 {
            while self.path.last().is_some_and(|choice| !choice.has_other) {
                self.path.pop();
            }
            let Some(last) = self.path.last_mut() else { return false };
            (last.taken, last.has_other) = (1, false);
            self.is_cut = self.count == ORDERS_MAX;
            if self.is_cut {
                return false;
            }
        }
        self.count += 1;
        true
    }

    /// Runs the sides in the prepared order, and beyond it A first.
    pub(crate) async fn run(&mut self, world: &World, mut sides: [Side; 2]) -> Ended {
        let World { sql, tables, .. } = world;
        let mut feed = world.feed().await;
        let mut order = Vec::new();
        let mut depth = 0;
        // The last step of B, and whether A could have gone before it.
        let mut after: Option<Footprint> = None;
        loop {
            if self.repeats && sides.iter().all(|side| side.stand == Stand::Waiting) {
                self.rings += 1;
                order.push("one is ended and repeated".to_owned());
                end_ring(&world.sql, &mut sides).await;
                after = None;
            }
            let can = |side: usize| matches!(sides[side].stand, Stand::Before(_));
            let could = [can(0), can(1)];
            let next = sides[0].next(tables);
            let same_as_before = after.as_ref().is_some_and(|b| b.is_independent_of(&next));
            let taken = match (could, &sides) {
                ([false, false], [a, b]) => match (&a.stand, &b.stand) {
                    (Stand::Done(a), Stand::Done(b)) => {
                        return Ended { order, answers: [a.clone(), b.clone()] };
                    }
                    (a, b) => panic!("deadlock: {a:?} and {b:?} after {order:#?}"),
                },
                ([true, false], _) => 0,
                ([false, true], _) => 1,
                // Going on with A after an independent step of B is an order that was tried with A first.
                ([true, true], _) if same_as_before => 1,
                ([true, true], _) => self.choose(&mut depth),
            };
            let Stand::Before(statement) = &sides[taken].stand else { unreachable!() };
            order.push(format!("{} {}", ["A", "B"][taken], statement.name));
            after = (taken == 1 && could[0]).then(|| sides[1].next(tables));
            let (stepping, other) = pick(&mut sides, taken);
            stepping.step(sql, &other.pids(), tables).await;
            if other.stand == Stand::Waiting {
                let ours = stepping.pids();
                other.settle(Some((sql, &ours))).await;
            }
            if order.last().is_some_and(|step| step.ends_with(COMMIT.name)) {
                let seen = std::mem::replace(&mut feed, world.feed().await);
                let skipped = skipped(&seen, &feed);
                assert!(skipped.is_empty(), "FD-1: a cursor skips {skipped:?}, {order:#?}");
            }
        }
    }

    fn choose(&mut self, depth: &mut usize) -> usize {
        if *depth == self.path.len() {
            self.path.push(Choice { taken: 0, has_other: true });
        }
        *depth += 1;
        self.path[*depth - 1].taken
    }
}

/// Returns the positions that appeared before one that a reader had seen already.
fn skipped(seen: &Feed, now: &Feed) -> Vec<i64> {
    let late = |(lane, positions): (&i16, &BTreeSet<i64>)| {
        let known = seen.get(lane).cloned().unwrap_or_default();
        let last = known.last().copied();
        let new: Vec<i64> = positions.difference(&known).copied().collect();
        new.into_iter().filter(move |position| Some(*position) < last)
    };
    now.iter().flat_map(late).collect()
}

/// Waits until Postgres has ended one of two that wait for each other, and both stand again.
async fn end_ring(sql: &Client, [a, b]: &mut [Side; 2]) {
    let pids = [a.pids(), b.pids()];
    let mut is_ring = true;
    while is_ring {
        is_ring = a.stand == Stand::Waiting && b.stand == Stand::Waiting;
        a.settle(Some((sql, &pids[1]))).await;
        b.settle(Some((sql, &pids[0]))).await;
    }
}

fn pick(sides: &mut [Side; 2], taken: usize) -> (&mut Side, &mut Side) {
    let [a, b] = sides;
    if taken == 0 { (a, b) } else { (b, a) }
}
