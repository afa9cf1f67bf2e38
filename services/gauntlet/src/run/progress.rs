//! Live progress: a bar on a terminal, plain lines elsewhere.

use crate::follow::Update;
use crate::{names, output};
use gauntlet_proto::v1;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;
use std::time::Duration;
use tokio::time::Instant;

/// Plain lines come at most this often, but the last one always comes.
const LINE_INTERVAL: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(120);

/// Shows how far a run is.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    total: i32,
    shown: v1::OutcomeCounts,
    counts: v1::OutcomeCounts,
    last_line: Option<Instant>,
    waiting: String,
    lost: bool,
}

impl Progress {
    /// Starts to show; on standard error, so that results stay alone on standard output.
    pub(crate) fn start() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{spinner} [{elapsed}] {bar:30} {pos}/{len} {msg}");
            let bar = ProgressBar::new(0);
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.enable_steady_tick(TICK);
            bar
        });
        Self {
            bar,
            total: 0,
            shown: v1::OutcomeCounts::default(),
            counts: v1::OutcomeCounts::default(),
            last_line: None,
            waiting: String::new(),
            lost: false,
        }
    }

    /// Takes in what was heard.
    pub(crate) fn tell(&mut self, update: &Update) {
        match update {
            Update::Snapshot(run) => self.snapshot(run),
            Update::Progress(counts) => {
                self.counts = *counts;
                self.show(false);
            }
            Update::Event(event) => self.event(event),
            Update::Lost(why) => {
                if !self.lost {
                    self.remark(&format!("connection lost ({why}), resuming"));
                }
                self.lost = true;
                return;
            }
        }
        if self.lost {
            self.lost = false;
            self.remark("connected again");
        }
    }

    /// Ends the display.
    pub(crate) fn finish(&mut self) {
        self.show(true);
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn snapshot(&mut self, run: &v1::Run) {
        self.total = run.test_count;
        if run.waiting_reason != self.waiting {
            self.waiting.clone_from(&run.waiting_reason);
            if !self.waiting.is_empty() {
                self.remark(&format!("queued: {}", run.waiting_reason));
            }
        }
        self.show(false);
    }

    fn event(&mut self, event: &v1::RunEvent) {
        if let Some(v1::run_event::Event::ShardLost(lost)) = &event.event {
            let text =
                format!("shard {} lost on {}: {}", lost.shard_index, lost.executor, lost.reason);
            self.remark(&text);
        }
    }

    fn show(&mut self, last: bool) {
        let ended = names::ended(&self.counts);
        if let Some(bar) = &self.bar {
            bar.set_length(u64::try_from(self.total).unwrap_or(0));
            bar.set_position(u64::try_from(ended).unwrap_or(0));
            bar.set_message(names::counts(&self.counts));
            return;
        }
        let due = self.last_line.is_none_or(|at| at.elapsed() >= LINE_INTERVAL);
        // A retry has a result of every test from the start: there only what they are changes.
        let complete = ended == self.total && names::ended(&self.shown) != ended;
        if self.counts != self.shown && (due || last || complete) {
            self.shown = self.counts;
            self.last_line = Some(Instant::now());
            output::note(&format!("{ended}/{} done: {}", self.total, names::counts(&self.counts)));
        }
    }

    fn remark(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => output::note(text),
        }
    }
}
