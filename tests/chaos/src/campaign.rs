//! Strikes fault after fault, each while a run stands at the chosen point, until there were enough.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::faults::{Fault, Striker};
use crate::plan::Dice;
use crate::points::Point;
use crate::world::World;

/// A cell of the table.
pub(crate) type Cell = (Fault, Point);

/// Tries of a cell that count as a turn.
const TRIES: u32 = 3;
/// Longest wait for runs to end between two faults.
const PAUSE_MAX: Duration = Duration::from_secs(3);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What struck where.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Faults that struck while a run stood at their point, before and after.
    pub(crate) counted: BTreeMap<Cell, u32>,
    /// Faults that struck and no run stood there any more.
    pub(crate) beside: u32,
    /// Tries for which no run came or nobody could be struck.
    pub(crate) missed: u32,
    /// Last words of processes that ended though nobody ended them.
    pub(crate) ended: Vec<String>,
}

impl Tally {
    pub(crate) fn total(&self) -> u32 {
        self.counted.values().sum()
    }

    /// Returns how often the cell was hit that was hit least.
    pub(crate) fn fewest(&self) -> u32 {
        let cells =
            Fault::ALL.into_iter().flat_map(|f| Point::ALL.into_iter().map(move |p| (f, p)));
        cells.map(|cell| self.of(cell)).min().unwrap_or(0)
    }

    fn of(&self, cell: Cell) -> u32 {
        self.counted.get(&cell).copied().unwrap_or(0)
    }

    fn of_fault(&self, fault: Fault) -> u32 {
        Point::ALL.iter().map(|point| self.of((fault, *point))).sum()
    }
}

/// Strikes until it is enough, and lets `pace` runs end between two faults, or some time pass; `told` hears of each.
pub(crate) async fn run(
    world: Arc<World>,
    seed: u64,
    enough: impl Fn() -> bool,
    ended_runs: impl Fn() -> u32,
    pace: u32,
    told: impl Fn(&Tally, Cell, bool),
) -> anyhow::Result<Tally> {
    let mut striker = Striker::new(world, Dice::new(seed, 0));
    let mut tally = Tally::default();
    let mut tries: BTreeMap<Cell, u32> = BTreeMap::new();
    while !enough() {
        let cell = next(&tally, &tries, &mut striker.dice);
        *tries.entry(cell).or_default() += 1;
        let counted = strike(&mut striker, cell, &mut tally).await?;
        tally.ended.extend(striker.world.processes.revive().await?);
        told(&tally, cell, counted);
        // A mesh that is always broken ends no run.
        let (begun, ended) = (Instant::now(), ended_runs());
        while ended_runs() < ended + pace && begun.elapsed() < PAUSE_MAX && !enough() {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
    striker.settle().await?;
    tally.ended.extend(striker.world.processes.revive().await?);
    Ok(tally)
}

/// Returns the cell with the least so far: first every fault once, then every cell; of equals a random one.
fn next(tally: &Tally, tries: &BTreeMap<Cell, u32>, dice: &mut Dice) -> Cell {
    let mut cells: Vec<Cell> = Fault::ALL
        .into_iter()
        .flat_map(|fault| Point::ALL.into_iter().map(move |point| (fault, point)))
        .collect();
    dice.shuffle(&mut cells);
    let tried = |cell: &Cell| tries.get(cell).copied().unwrap_or(0);
    let tried_fault = |fault| Point::ALL.iter().map(|point| tried(&(fault, *point))).sum::<u32>();
    let rank = |cell: &Cell| {
        // What three tries did not hit waits for the next round, or it would keep everything else from its turn.
        let seen = tally.of_fault(cell.0).max(tried_fault(cell.0) / TRIES).min(1);
        (seen, tally.of(*cell).max(tried(cell) / TRIES), tried(cell))
    };
    cells.into_iter().min_by_key(rank).unwrap_or((Fault::KillScheduler, Point::Leased))
}

/// Strikes once; returns whether it counts.
async fn strike(
    striker: &mut Striker,
    (fault, point): Cell,
    tally: &mut Tally,
) -> anyhow::Result<bool> {
    let world = Arc::clone(&striker.world);
    let held = Held::new(&world, point);
    let before = point.arrivals(&world).await?;
    let struck = if before.is_empty() { None } else { striker.aim(fault, point, &before).await? };
    let Some(struck) = struck else {
        tally.missed += 1;
        return Ok(false);
    };
    striker.strike(&struck).await?;
    let still = point.standing(&world).await?;
    striker.bite(&struck);
    drop(held);
    striker.mend(struck).await?;
    let counts = still.intersection(&before).next().is_some();
    if counts {
        *tally.counted.entry((fault, point)).or_default() += 1;
    } else {
        tally.beside += 1;
    }
    Ok(counts)
}

/// Runs are kept at a point for as long as this lives.
struct Held<'a> {
    world: &'a World,
    point: Point,
}

impl<'a> Held<'a> {
    fn new(world: &'a World, point: Point) -> Self {
        point.hold(world, true);
        Self { world, point }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.point.hold(self.world, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_comes_once_before_any_comes_again_and_then_every_cell() {
        let (mut tally, tries, mut dice) = (Tally::default(), BTreeMap::new(), Dice::new(1, 0));
        for _ in 0..Fault::ALL.len() {
            *tally.counted.entry(next(&tally, &tries, &mut dice)).or_default() += 1;
        }
        assert!(Fault::ALL.into_iter().all(|fault| tally.of_fault(fault) == 1));
        for _ in 0..Fault::ALL.len() * (Point::ALL.len() - 1) {
            *tally.counted.entry(next(&tally, &tries, &mut dice)).or_default() += 1;
        }
        assert!(tally.counted.len() == 108 && tally.counted.values().all(|count| *count == 1));
    }
}
