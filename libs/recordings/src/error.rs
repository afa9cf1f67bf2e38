//! Everything that is wrong with one recording, told at once.

use std::fmt;

/// How many problems of one file are kept; the rest are only counted.
pub const PROBLEMS_MAX: usize = 50;

/// All problems of one file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ImportErrors {
    /// The file, as the caller named it.
    pub file: String,
    /// The problems, in file order; at most [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// How many more there were.
    pub omitted: usize,
    /// The test that is being read; every problem found meanwhile is its problem.
    pub(crate) test: Option<String>,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The test within the file, if the file can hold several.
    pub test: Option<String>,
    /// 1-based index of the step, unless the problem is about the file as a whole.
    pub step_number: Option<usize>,
    /// The step's type, if it has one. Cut when long.
    pub step_type: Option<String>,
    /// JSON path of the field, e.g. `steps[2].selectors[0][1]`; empty for the whole file.
    pub field: String,
    /// What is wrong, without quoting values.
    pub message: String,
}

impl ImportErrors {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), problems: Vec::new(), omitted: 0, test: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn push(&mut self, mut problem: Problem) {
        problem.test = problem.test.or_else(|| self.test.clone());
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            self.omitted += 1;
        }
    }

    /// Adds the problems of a part of the file that was read on its own.
    pub(crate) fn take_over(&mut self, part: &Self) {
        part.problems.iter().for_each(|problem| self.push(problem.clone()));
        self.omitted += part.omitted;
    }

    pub(crate) fn file_problem(&mut self, message: String) {
        self.push(Problem::of_field("", message));
    }
}

impl Problem {
    /// Makes a problem of a field of the file, outside of any step.
    pub(crate) fn of_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            test: None,
            step_number: None,
            step_type: None,
            field: field.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for ImportErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}: {problem}", self.file)?;
        }
        if self.omitted > 0 {
            write!(f, "\n{}: and {} more problems", self.file, self.omitted)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(test) = &self.test {
            write!(f, "test {test:?}: ")?;
        }
        if let Some(number) = self.step_number {
            write!(f, "step {number}")?;
            if let Some(kind) = &self.step_type {
                write!(f, " ({kind})")?;
            }
            f.write_str(": ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}
