//! The scheduler: claims, beats, completions, finalization leases, and the reconciler's tick.
//!
//! Its memory is who waits and who was elected; a kill loses that and nothing else. While the store is away it refuses
//! everything.

use crate::finalizer::Claim;
use crate::messages::{Grant, Held, Message};
use crate::world::{BEAT_MS, Event, Hosted, LEASE_MS, SessionRow, World};
use gauntlet_core::invariants::Violation;
use gauntlet_core::protocol::{
    Command, Completion, FinalizerClaim, Outcome, RunState, ShardState, StopReason,
};
use gauntlet_core::{LeaseEpoch, ReplicaId, SessionId};
use gauntlet_tests_model::Rules;
use gauntlet_tests_model::results::{Fence, Results};
use gauntlet_tests_model::scheduler::Run;
use std::collections::BTreeMap;
use uuid::Uuid;

/// How long a poll waits.
const POLL_MS: u64 = 20_000;
const TICK_MS: u64 = 1_000;

/// What the process remembers.
#[derive(Default)]
pub(crate) struct Memory {
    /// Polls that wait: session, free slots, until when.
    polls: BTreeMap<usize, (SessionId, u32, u64)>,
    /// Results processes that wait.
    waiting: BTreeMap<usize, u64>,
    /// Elections that were not fetched.
    mailboxes: BTreeMap<usize, Vec<(usize, u32)>>,
}

pub(crate) fn replica_id(replica: usize) -> ReplicaId {
    ReplicaId(Uuid::from_u128(replica as u128 + 1))
}

impl World {
    fn memory(&mut self) -> &mut Memory {
        self.scheduler.get_or_insert_default()
    }

    /// Returns whether somebody can answer.
    pub(crate) fn scheduler_serves(&self) -> bool {
        self.scheduler.is_some() && self.store_up
    }

    /// An executor dies that waits for work, and a run is admitted just before the tick that notices.
    pub(crate) fn orphan(&mut self) {
        let polls = self.memory().polls.iter().max_by_key(|(_, (_, free, _))| *free);
        let Some((executor, session)) = polls.map(|(e, (session, ..))| (*e, *session)) else {
            return;
        };
        let Some(row) = self.sessions.get(&session).cloned() else { return };
        self.kill_executor(executor, 2 * LEASE_MS);
        let ticks = (row.expires_at.saturating_sub(self.tick.0) / TICK_MS + 1) * TICK_MS;
        let early = self.rng.between(20, 300);
        let noticed = (self.tick.0 + ticks).saturating_sub(self.db_now());
        let last = self.story.runs.len() - 1;
        self.after(noticed.saturating_sub(early), Event::AdmitTo { run: last, executor });
    }

    /// As [`World::admit`] where nobody else waits: the others do at another process.
    pub(crate) fn admit_to(&mut self, run: usize, executor: usize) -> Result<(), Violation> {
        if self.scheduler_serves() {
            self.memory().polls.retain(|waits, _| *waits == executor);
        }
        self.admit(run)
    }

    pub(crate) fn admit(&mut self, n: usize) -> Result<(), Violation> {
        if self.runs.contains_key(&n) {
            return Ok(());
        }
        if !self.scheduler_serves() {
            self.after(500, Event::Admit(n));
            return Ok(());
        }
        let plan = &self.story.runs[n];
        let run = Run::new(plan.shards.clone(), plan.on_infra_failure);
        let hosted = Hosted {
            run,
            results: Results::default(),
            not_before: BTreeMap::new(),
            finalizer_expires_at: 0,
        };
        self.runs.insert(n, hosted);
        self.after(0, Event::Client { run: n });
        self.dispatch()
    }

    pub(crate) fn poll(
        &mut self,
        executor: usize,
        session: SessionId,
        free: u32,
    ) -> Result<(), Violation> {
        let until = self.now + POLL_MS;
        self.memory().polls.insert(executor, (session, free, until));
        self.dispatch()
    }

    /// Grants what the waiting polls can take; the answers leave the store's transaction behind.
    pub(crate) fn dispatch(&mut self) -> Result<(), Violation> {
        let (now, db_now) = (self.now, self.db_now());
        let reaped: Vec<SessionId> =
            self.sessions.iter().filter(|(_, row)| row.reaped).map(|(id, _)| *id).collect();
        self.memory().polls.retain(|_, (session, free, until)| {
            *until > now && *free > 0 && !reaped.contains(session)
        });
        let claimable: Vec<(usize, u32)> = self
            .runs
            .iter()
            .flat_map(|(n, hosted)| {
                let ready =
                    |shard: u32| hosted.not_before.get(&shard).is_none_or(|at| *at <= db_now);
                let rows = hosted.run.shards.iter().filter(|row| row.state == ShardState::Queued);
                rows.map(|row| row.index)
                    .filter(move |shard| ready(*shard))
                    .map(move |shard| (*n, shard))
            })
            .collect();
        for (n, shard) in claimable {
            let avoid = self.runs[&n].run.plan(shard).avoid;
            let polls = self.memory().polls.iter();
            let others = polls.clone().any(|(_, (session, ..))| Some(*session) != avoid);
            let fits = polls.filter(|(_, (session, free, _))| {
                *free > 0 && (Some(*session) != avoid || !others)
            });
            let taker = fits.max_by_key(|(_, (_, free, _))| *free).map(|(e, (s, ..))| (*e, *s));
            let Some((executor, session)) = taker else { continue };
            self.grant(n, shard, executor, session)?;
        }
        Ok(())
    }

    fn grant(
        &mut self,
        n: usize,
        shard: u32,
        executor: usize,
        session: SessionId,
    ) -> Result<(), Violation> {
        if let Some(poll) = self.memory().polls.get_mut(&executor) {
            poll.1 -= 1;
        }
        let Some(hosted) = self.runs.get_mut(&n) else { return Ok(()) };
        let epoch = hosted.run.grant(Rules::Real, shard, session)?;
        let grant = grant_of(n, &hosted.run, shard);
        self.note_claim();
        self.say(|| {
            format!("run {n}: shard {shard} granted to executor {executor}, epoch {epoch}")
        });
        self.send(Message::Granted { executor, session, grant });
        let (late, life) = (self.rng.below(1_200), self.scheduler_life);
        self.after(late, Event::Announce { run: n, shard, epoch, life });
        Ok(())
    }

    /// The claim's second step.
    pub(crate) fn announce(
        &mut self,
        run: usize,
        shard: u32,
        epoch: LeaseEpoch,
        life: u64,
    ) -> Result<(), Violation> {
        if self.scheduler_serves() && self.scheduler_life == life {
            self.apply(run, Some(shard), &Command::MarkGranted { epoch })?;
        }
        Ok(())
    }

    /// A renewal: the session lives on, and hears what it lost and what it was given.
    pub(crate) fn renew(&mut self, executor: usize, session: SessionId, held: &[Held]) {
        let expires_at = self.db_now() + LEASE_MS;
        let row = self.sessions.entry(session).or_insert(SessionRow { expires_at, reaped: false });
        if row.reaped {
            return self.send(Message::SessionLost { executor, session });
        }
        row.expires_at = expires_at;
        let mut lost = Vec::new();
        for Held { run, fence, running } in held {
            let Some(hosted) = self.runs.get_mut(run) else { continue };
            let row = &mut hosted.run.shards[fence.shard as usize];
            if row.state == ShardState::Leased
                && row.epoch == fence.epoch
                && row.session == Some(session)
            {
                row.running.clone_from(running);
            } else {
                lost.push((*run, *fence));
            }
        }
        let named = |n: usize, row: &gauntlet_core::protocol::ShardRow| {
            held.iter()
                .any(|h| h.run == n && (h.fence.shard, h.fence.epoch) == (row.index, row.epoch))
        };
        let unnamed = self.runs.iter().find_map(|(n, hosted)| {
            let mut rows = hosted.run.shards.iter();
            let row = rows.find(|row| row.session == Some(session) && !named(*n, row))?;
            Some(grant_of(*n, &hosted.run, row.index))
        });
        self.send(Message::Beaten { executor, session, lost, unnamed });
    }

    pub(crate) fn complete(
        &mut self,
        (executor, session): (usize, SessionId),
        (run, shard, epoch): (usize, u32, LeaseEpoch),
        completion: Completion,
    ) -> Result<(), Violation> {
        let parked = self.waiting();
        let command = Command::Complete { session, epoch, completion, parked };
        let Some(outcome) = self.apply(run, Some(shard), &command)? else { return Ok(()) };
        if let Outcome::Counted { elected: Some(claim), .. } = &outcome {
            self.elected(run, claim);
        }
        let generation = self.runs[&run].run.plan(shard).generation;
        let fence = Fence { generation, shard, epoch };
        self.send(Message::Completed { executor, run, fence });
        self.dispatch()
    }

    fn waiting(&mut self) -> Option<ReplicaId> {
        let now = self.now;
        self.memory().waiting.retain(|_, until| *until > now);
        self.memory().waiting.keys().next().map(|replica| replica_id(*replica))
    }

    fn elected(&mut self, run: usize, claim: &FinalizerClaim) {
        let Some(replica) =
            (0..crate::world::REPLICAS).find(|n| Some(replica_id(*n)) == claim.replica)
        else {
            return;
        };
        self.memory().mailboxes.entry(replica).or_default().push((run, claim.epoch));
        self.hand_out(replica);
    }

    /// Answers a results process that waits with what it was elected for.
    fn hand_out(&mut self, replica: usize) {
        if !self.memory().waiting.contains_key(&replica) {
            return;
        }
        let elected = self.memory().mailboxes.remove(&replica).unwrap_or_default();
        for (n, epoch) in elected {
            let Some(hosted) = self.runs.get(&n) else { continue };
            let row = &hosted.run.row;
            // As describe_claims: what was lost meanwhile is not described.
            if row.finalizer_epoch == epoch {
                let claim = Claim::of(n, &hosted.run, epoch);
                self.memory().waiting.remove(&replica);
                self.send(Message::Elected { replica, claim });
            }
        }
    }

    pub(crate) fn poll_finalization(&mut self, replica: usize) -> Result<(), Violation> {
        let until = self.now + POLL_MS;
        self.memory().waiting.insert(replica, until);
        self.hand_out(replica);
        let free = |hosted: &Hosted| {
            hosted.run.row.state == RunState::Finalizing && hosted.run.row.finalizer.is_none()
        };
        let free = self.runs.iter().find(|(_, hosted)| free(hosted)).map(|(n, _)| *n);
        if let Some(run) = free {
            let command = Command::ClaimFinalization { replica: replica_id(replica) };
            if let Some(Outcome::FinalizerElected(claim)) = self.apply(run, None, &command)? {
                self.elected(run, &claim);
            }
        }
        Ok(())
    }

    pub(crate) fn renew_finalization(&mut self, run: usize, epoch: u32) {
        let expires_at = self.db_now() + LEASE_MS;
        if let Some(hosted) = self.runs.get_mut(&run)
            && hosted.run.row.state == RunState::Finalizing
            && hosted.run.row.finalizer_epoch == epoch
            && hosted.run.row.finalizer.is_some()
        {
            hosted.finalizer_expires_at = expires_at;
        }
    }

    pub(crate) fn stop(&mut self, run: usize, generation: u32) -> Result<(), Violation> {
        let parked = self.waiting();
        let command = Command::Stop { generation, reason: StopReason::Deadline, parked };
        if let Some(Outcome::Stopped { elected }) = self.apply(run, None, &command)? {
            self.elected(run, &elected);
        }
        Ok(())
    }

    /// The reconciler.
    pub(crate) fn tick(&mut self, life: u64) -> Result<(), Violation> {
        if self.scheduler_life != life {
            return Ok(());
        }
        self.after(TICK_MS, Event::SchedulerTick { life });
        if !self.scheduler_serves() {
            return Ok(());
        }
        self.reap_sessions();
        for (run, shard, command) in self.repairs() {
            let outcome = self.apply(run, shard, &command)?;
            if let Some(Outcome::Counted { elected: Some(claim), .. }) = outcome {
                self.elected(run, &claim);
            }
        }
        for replica in 0..crate::world::REPLICAS {
            if self.memory().waiting.contains_key(&replica) {
                self.poll_finalization(replica)?;
            }
        }
        self.dispatch()
    }

    /// As `sessions/reap.sql`.
    fn reap_sessions(&mut self) {
        let now = self.db_now();
        let (touched_at, reap_after) = self.tick;
        let reap_after = if now - touched_at > 2 * BEAT_MS { now + LEASE_MS } else { reap_after };
        self.tick = (now, reap_after);
        if now >= reap_after {
            self.sessions
                .values_mut()
                .filter(|row| row.expires_at < now)
                .for_each(|row| row.reaped = true);
        }
    }

    fn repairs(&self) -> Vec<(usize, Option<u32>, Command)> {
        let mut repairs = Vec::new();
        let now = self.db_now();
        for (n, hosted) in &self.runs {
            let run = &hosted.run;
            let leased = || run.shards.iter().filter(|row| row.state == ShardState::Leased);
            let dead = |id: &SessionId| self.sessions.get(id).is_none_or(|row| row.reaped);
            for row in leased().filter(|row| row.session.as_ref().is_some_and(dead)) {
                repairs.push((*n, Some(row.index), Command::Lose { epoch: row.epoch }));
            }
            if run.row.finalizer.is_some() && hosted.finalizer_expires_at < now {
                repairs.push((
                    *n,
                    None,
                    Command::LoseFinalization {
                        generation: run.row.generation,
                        epoch: run.row.finalizer_epoch,
                    },
                ));
            }
            for row in leased().filter(|row| row.announced < row.epoch) {
                repairs.push((*n, Some(row.index), Command::MarkGranted { epoch: row.epoch }));
            }
        }
        repairs
    }
}

fn grant_of(n: usize, run: &Run, shard: u32) -> Grant {
    let (row, plan) = (run.shard(shard), run.plan(shard));
    let fence = Fence { generation: plan.generation, shard, epoch: row.epoch };
    Grant { run: n, fence, ordinals: plan.ordinals.clone(), poisoned: row.poisoned.clone() }
}
