//! Time: one executor that beats, a store that may be away, a clock that may jump, and the reaper with its tick.
//!
//! An executor that lives is never reaped (an outage burns no attempts), and one that is dead is. One unit is a beat; a
//! lease has five of them, as in the product.

use stateright::{Checker, Model, Path, Property};

const LEASE: u8 = 5;
/// A gap between two ticks beyond which nobody could renew.
const GAP_MAX: u8 = 2;
/// Time within which a living executor is heard while the store is there: a beat, and as much while it backs off after an
/// outage (at most 2 s in the product). With one more, a jump and a short outage together would leave nothing to spare.
const HEARD_WITHIN: u8 = 1;
/// How far a jump of the clock goes.
const JUMP: u8 = 9;
const END: u8 = 18;
const ALIVE: &str = "an executor that lives is not reaped";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    Real,
    /// The reaper compares expiry with the clock and nothing else.
    WithoutTick,
    /// The reaper has a tick but no time of grace after a gap.
    WithoutGrace,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Clock {
    now: u8,
    expires_at: u8,
    touched_at: u8,
    reap_after: u8,
    /// Units that passed for the executor since its last beat while the store was there.
    unheard: u8,
    store_up: bool,
    outages_left: u8,
    jumps_left: u8,
    dead: bool,
    reaped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Pass,
    Beat,
    Tick,
    StoreFails,
    StoreReturns,
    Jump,
    Die,
}

impl Model for Rules {
    type State = Clock;
    type Action = Step;

    fn init_states(&self) -> Vec<Clock> {
        vec![Clock {
            now: 0,
            expires_at: LEASE,
            touched_at: 0,
            reap_after: 0,
            unheard: 0,
            store_up: true,
            outages_left: 1,
            jumps_left: 1,
            dead: false,
            reaped: false,
        }]
    }

    fn actions(&self, clock: &Clock, steps: &mut Vec<Step>) {
        // A living executor is heard within its patience, whenever there is somebody to hear it.
        if clock.now < END && (clock.dead || !clock.store_up || clock.unheard < HEARD_WITHIN) {
            steps.push(Step::Pass);
        }
        if clock.store_up {
            steps.push(Step::Tick);
            if !clock.dead {
                steps.push(Step::Beat);
            }
            if clock.outages_left > 0 {
                steps.push(Step::StoreFails);
            }
        } else {
            steps.push(Step::StoreReturns);
        }
        if clock.jumps_left > 0 && clock.now + JUMP < END {
            steps.push(Step::Jump);
        }
        if !clock.dead {
            steps.push(Step::Die);
        }
    }

    fn next_state(&self, clock: &Clock, step: Step) -> Option<Clock> {
        let mut next = clock.clone();
        match step {
            Step::Pass => {
                next.now += 1;
                next.unheard += u8::from(clock.store_up && !clock.dead);
            }
            Step::Beat if clock.reaped => return None,
            Step::Beat => {
                next.expires_at = clock.now + LEASE;
                next.unheard = 0;
            }
            Step::Tick => self.tick(clock, &mut next),
            Step::StoreFails => {
                next.store_up = false;
                next.outages_left -= 1;
            }
            Step::StoreReturns => {
                next.store_up = true;
                next.unheard = 0;
            }
            Step::Jump => {
                next.now += JUMP;
                next.jumps_left -= 1;
            }
            Step::Die => next.dead = true,
        }
        (next != *clock).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ALIVE, |_, clock: &Clock| clock.dead || !clock.reaped),
            Property::sometimes("one that is dead is", |_, clock: &Clock| {
                clock.dead && clock.reaped
            }),
        ]
    }
}

impl Rules {
    /// As `sessions/reap.sql`: touch, and reap what expired unless nobody could renew.
    fn tick(self, clock: &Clock, next: &mut Clock) {
        if clock.now - clock.touched_at > GAP_MAX && self != Self::WithoutTick {
            let grace = if self == Self::WithoutGrace { 1 } else { LEASE };
            next.reap_after = clock.now + grace;
        }
        next.touched_at = clock.now;
        next.reaped |= clock.now >= next.reap_after && clock.expires_at < clock.now;
    }
}

fn find(rules: Rules) {
    let shortest = (1..usize::from(END)).find_map(|depth| {
        let checker = rules.checker().threads(1).target_max_depth(depth).spawn_bfs().join();
        checker.discovery(ALIVE).map(Path::into_actions)
    });
    let steps = shortest.unwrap_or_else(|| panic!("{rules:?} is harmless"));
    println!("{rules:?} breaks {ALIVE:?}: {steps:?}");
}

#[test]
fn b2_an_outage_or_a_jump_of_the_clock_reaps_nobody_who_lives() {
    let checker = Rules::Real.checker().threads(1).spawn_bfs().join();
    println!(
        "clock: {} states, {} of them different",
        checker.state_count(),
        checker.unique_state_count()
    );
    checker.assert_properties();
}

#[test]
fn b2_a_reaper_without_tick_reaps_everybody_after_an_outage() {
    find(Rules::WithoutTick);
}

#[test]
fn b2_a_reaper_without_grace_is_faster_than_those_who_come_back() {
    find(Rules::WithoutGrace);
}
