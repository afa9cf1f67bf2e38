//! Branches and loops of a flat flow: which step comes next. Pure: the browser decides conditions, [`Cursor`] follows the jumps.
//!
//! Invariants: every block is closed (checked before anything runs); no loop evaluates its head more often than its limit
//! says, and no test makes more than [`MOVES_MAX`] moves, so that every flow comes to an end.

use super::{FailureClass, NotANumber, Quantity, Scope, Step, StepKind};

/// How often a loop's head may be evaluated when the recording does not say.
pub const LOOP_EVALUATIONS_DEFAULT: u32 = 1_000;
/// How many steps and markers one test may pass.
pub const MOVES_MAX: u32 = 1_000_000;

/// A marker of a branch or a loop. Conditions are JavaScript expressions, true when truthy.
#[derive(Clone, PartialEq)]
pub enum Control {
    /// Begins a branch.
    If {
        /// Whether to take it.
        condition: String,
    },
    /// The next branch, if none before was taken.
    ElseIf {
        /// Whether to take it.
        condition: String,
    },
    /// The last branch, if none before was taken.
    Else,
    /// Begins a loop that goes on as long as its condition holds.
    While {
        /// Whether to go on.
        condition: String,
        /// How often the condition may be evaluated; once more is a failure.
        limit: u32,
    },
    /// Begins a loop of so many rounds.
    Times {
        /// The rounds; a fraction is cut off.
        count: Quantity,
        /// How often the loop's head may be passed; once more is a failure.
        limit: u32,
    },
    /// Begins a loop over the items of a variable.
    ForEach {
        /// The variable with the items.
        array: String,
        /// The variable that gets the item.
        item: String,
    },
    /// Begins a loop that ends with a `RepeatIf`.
    Do,
    /// Ends a `Do` loop, or starts it again.
    RepeatIf {
        /// Whether to start again.
        condition: String,
        /// How often the condition may be evaluated; once more is a failure.
        limit: u32,
    },
    /// Ends an `If`, `While`, `Times` or `ForEach`.
    End,
}

impl Control {
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::If { .. } => "if",
            Self::ElseIf { .. } => "elseIf",
            Self::Else => "else",
            Self::While { .. } => "while",
            Self::Times { .. } => "times",
            Self::ForEach { .. } => "forEach",
            Self::Do => "do",
            Self::RepeatIf { .. } => "repeatIf",
            Self::End => "end",
        }
    }

    fn limit(&self) -> u32 {
        match self {
            Self::While { limit, .. }
            | Self::Times { limit, .. }
            | Self::RepeatIf { limit, .. } => *limit,
            _ => LOOP_EVALUATIONS_DEFAULT,
        }
    }
}

/// Why the markers of a flow make no sense. `step` counts from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// A block is never closed.
    #[error("`{marker}` is never closed by its `{end}`")]
    Open {
        /// The step that opens it.
        step: usize,
        /// What opens it.
        marker: &'static str,
        /// What is missing.
        end: &'static str,
    },
    /// A marker stands where no block is open that it could belong to.
    #[error("`{marker}` stands outside of {belongs}")]
    Stray {
        /// The step.
        step: usize,
        /// The marker.
        marker: &'static str,
        /// Where it belongs.
        belongs: &'static str,
    },
    /// A branch comes after `else`.
    #[error("`{marker}` comes after the `else` of its block")]
    AfterElse {
        /// The step.
        step: usize,
        /// The marker.
        marker: &'static str,
    },
}

impl ControlError {
    /// Returns the step that is wrong, from 0.
    #[must_use]
    pub fn step(&self) -> usize {
        match self {
            Self::Open { step, .. } | Self::Stray { step, .. } | Self::AfterElse { step, .. } => {
                *step
            }
        }
    }
}

/// Why a running test cannot go on at a marker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlFailure {
    /// A loop did not come to its end.
    #[error("the loop's head was evaluated {limit} times, which is its limit")]
    LoopLimit {
        /// The limit.
        limit: u32,
    },
    /// The test went round and round.
    #[error("the test passed {MOVES_MAX} steps and markers, which is the limit")]
    MovesMax,
    /// The number of rounds is no number.
    #[error("the number of rounds: {0}")]
    Rounds(#[from] NotANumber),
    /// There is nothing to go over.
    #[error("the variable `{array}` has no items to go over")]
    NoItems {
        /// The variable.
        array: String,
    },
}

impl ControlFailure {
    /// Returns the failure's class.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::LoopLimit { .. } | Self::MovesMax => FailureClass::Timeout,
            Self::Rounds(_) | Self::NoItems { .. } => FailureClass::Assertion,
        }
    }
}

/// Where a marker leads to. Indices are those of steps; one beyond the last ends the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Jump {
    /// Where to go when the condition does not hold, or the loop is over.
    otherwise: usize,
    /// Where to go after falling into the marker from the branch before it, or from a loop's body to its end.
    fall: usize,
}

/// Computes every marker's jumps.
fn jumps(steps: &[Step]) -> Result<Vec<Jump>, ControlError> {
    let mut jumps: Vec<Jump> =
        (0..steps.len()).map(|step| Jump { otherwise: step + 1, fall: step + 1 }).collect();
    // The markers of each open block, outermost block first: its head, and for `if` its other branches.
    let mut open: Vec<Vec<usize>> = Vec::new();
    let control = |step: usize| match &steps[step].kind {
        StepKind::Control(control) => Some(control),
        _ => None,
    };
    for step in 0..steps.len() {
        let Some(marker) = control(step) else { continue };
        let name = marker.type_name();
        let stray = |belongs| ControlError::Stray { step, marker: name, belongs };
        let head = open.last().and_then(|block| control(*block.first()?));
        match marker {
            Control::If { .. }
            | Control::While { .. }
            | Control::Times { .. }
            | Control::ForEach { .. }
            | Control::Do => open.push(vec![step]),
            Control::ElseIf { .. } | Control::Else => {
                let (Some(Control::If { .. }), Some(block)) = (head, open.last_mut()) else {
                    return Err(stray("an `if` block"));
                };
                let last = block[block.len() - 1];
                if matches!(control(last), Some(Control::Else)) {
                    return Err(ControlError::AfterElse { step, marker: name });
                }
                jumps[last].otherwise = step;
                block.push(step);
            }
            Control::RepeatIf { .. } => {
                let (Some(Control::Do), Some(block)) = (head, open.pop()) else {
                    return Err(stray("a `do` block"));
                };
                jumps[step].fall = block[0];
            }
            Control::End => {
                if matches!(head, None | Some(Control::Do)) {
                    return Err(stray("an `if` block or a loop"));
                }
                let block = open.pop().unwrap_or_default();
                let branches = matches!(head, Some(Control::If { .. }));
                if let Some(last) = block.last() {
                    jumps[*last].otherwise = step + 1;
                }
                for branch in block.iter().skip(1) {
                    jumps[*branch].fall = step + 1;
                }
                jumps[step].fall = if branches { step + 1 } else { block[0] };
            }
        }
    }
    let Some(step) = open.last().map(|block| block[0]) else { return Ok(jumps) };
    let marker = control(step).map_or("", Control::type_name);
    Err(ControlError::Open { step, marker, end: if marker == "do" { "repeatIf" } else { "end" } })
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// This step is to be performed.
    Perform(usize),
    /// This step's condition is to be evaluated in the page, and told by [`Cursor::decide`].
    Decide(usize),
    /// The test is over.
    End,
}

/// The place of a running test in its steps.
#[derive(Debug)]
pub struct Cursor<'f> {
    steps: &'f [Step],
    jumps: Vec<Jump>,
    at: usize,
    /// Whether `at` was reached by a condition that did not hold, and not by falling into it.
    jumped: bool,
    /// How often each loop's head was evaluated since the loop began.
    evaluations: Vec<u32>,
    moves: u32,
}

impl<'f> Cursor<'f> {
    /// Stands before the first step.
    ///
    /// # Errors
    /// [`ControlError`] when a block is not closed, or a marker stands outside of its block.
    pub fn new(steps: &'f [Step]) -> Result<Self, ControlError> {
        let jumps = jumps(steps)?;
        let evaluations = vec![0; steps.len()];
        Ok(Self { steps, jumps, at: 0, jumped: false, evaluations, moves: 0 })
    }

    /// Returns the index of the step that [`Cursor::next`] looked at last, for saying where a failure happened.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at.min(self.steps.len().saturating_sub(1))
    }

    /// Moves on to what comes next. `scope` gives loops their numbers and items, and gets the item of each round.
    ///
    /// # Errors
    /// [`ControlFailure`] when a loop does not end, or has nothing to go over; [`Cursor::at`] tells where.
    pub fn next(&mut self, scope: &mut Scope) -> Result<Next, ControlFailure> {
        while let Some(step) = self.steps.get(self.at) {
            self.moves += 1;
            if self.moves > MOVES_MAX {
                return Err(ControlFailure::MovesMax);
            }
            let StepKind::Control(marker) = &step.kind else {
                self.at += 1;
                return Ok(Next::Perform(self.at - 1));
            };
            let jumped = std::mem::take(&mut self.jumped);
            match marker {
                Control::Do => self.at += 1,
                Control::End => self.at = self.jumps[self.at].fall,
                Control::Else if jumped => self.at += 1,
                Control::Else => self.at = self.jumps[self.at].fall,
                Control::ElseIf { .. } if !jumped => self.at = self.jumps[self.at].fall,
                Control::If { .. } | Control::ElseIf { .. } => return Ok(Next::Decide(self.at)),
                Control::While { .. } | Control::RepeatIf { .. } => {
                    self.evaluate(marker)?;
                    return Ok(Next::Decide(self.at));
                }
                Control::Times { count, .. } => {
                    let rounds = self.evaluate(marker)?;
                    let count = scope.number(count)?;
                    self.decide(f64::from(rounds) < count.floor());
                }
                Control::ForEach { array, item } => {
                    let round = self.evaluate(marker)?;
                    let next = scope
                        .get(array)
                        .and_then(|value| value.items())
                        .ok_or_else(|| ControlFailure::NoItems { array: array.clone() })?
                        .into_iter()
                        .nth(usize::try_from(round).unwrap_or(usize::MAX));
                    let secret = scope.is_secret(array);
                    self.decide(next.is_some());
                    if let Some(next) = next {
                        scope.set(item, next, secret);
                    }
                }
            }
        }
        Ok(Next::End)
    }

    /// Tells whether the condition of the last [`Next::Decide`] holds.
    pub fn decide(&mut self, holds: bool) {
        let Some(StepKind::Control(marker)) = self.steps.get(self.at).map(|step| &step.kind) else {
            return;
        };
        let at = self.at;
        let repeat = matches!(marker, Control::RepeatIf { .. });
        if !holds {
            // The loop is over; inside another loop it may begin again.
            self.evaluations[at] = 0;
        }
        self.jumped = !holds && matches!(marker, Control::If { .. } | Control::ElseIf { .. });
        self.at = match (holds, repeat) {
            (true, true) => self.jumps[at].fall,
            (true, false) | (false, true) => at + 1,
            (false, false) => self.jumps[at].otherwise,
        };
    }

    /// Counts an evaluation of a loop's head; returns how many there were before.
    fn evaluate(&mut self, marker: &Control) -> Result<u32, ControlFailure> {
        let count = &mut self.evaluations[self.at];
        if *count >= marker.limit() {
            return Err(ControlFailure::LoopLimit { limit: marker.limit() });
        }
        *count += 1;
        Ok(*count - 1)
    }
}

#[cfg(test)]
mod tests;
