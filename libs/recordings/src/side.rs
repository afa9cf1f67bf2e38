//! Selenium IDE projects (`.side`, versions 1.0 to 3.0), with the meaning that `selenium-side-runner` 4 gives them.
//!
//! One flow per test of each suite; a suite that keeps its session is one flow, since its tests share browser and variables;
//! a project whose suites name no tests is all its tests. `run` is inlined, so that a flow stands alone: its depth and the
//! number of steps are bounded. Plug-ins are JavaScript and are refused.
//!
//! Where it differs from the runner on purpose: variables are replaced in every command, an inner loop begins again in each
//! round of the outer one, and `select` looks for options in its own element only.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use gauntlet_core::flow::{Cursor, Flow, Step};
use serde_json::{Map, Value};

use crate::{
    error::{ImportErrors, Problem},
    fields::{Fields, type_of},
    near::nearest,
};

mod command;
mod control;
mod locator;
mod text;

/// Versions of the format that are read.
const VERSIONS: [&str; 5] = ["1.0", "1.1", "2", "2.0", "3.0"];
/// How long the runner waits for an element.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How deep tests may `run` tests.
const RUN_DEPTH_MAX: usize = 16;
/// Steps of one flow after inlining.
const STEPS_MAX: usize = 10_000;
/// Steps of all flows of a project after inlining.
const PROJECT_STEPS_MAX: usize = 200_000;
/// Names are quoted in labels and errors; a hostile one must not flood the log.
const NAME_CHARS_MAX: usize = 80;

/// Tells whether the document is a Selenium IDE project.
pub(crate) fn is_project(json: &Value) -> bool {
    json.get("tests").is_some_and(Value::is_array)
        && (json.get("suites").is_some() || json.get("urls").is_some())
}

/// One command as it stands in the file, made into steps.
enum Item {
    /// Steps of the command with this index.
    Steps(usize, Vec<Step>),
    /// Another test runs here; the text names it.
    Run(usize, String),
    /// A variable gets a fixed text, which a later `run` may name.
    Constant(Box<Step>, (String, String)),
}

/// A test of the project.
struct Test {
    id: String,
    name: String,
    items: Vec<Item>,
    /// What is wrong with it. Only the problems of tests that run are told.
    problems: ImportErrors,
}

/// Returns the flows, or as many as could be read; they are valid only if `errors` stayed empty.
pub(crate) fn flows(json: &Value, errors: &mut ImportErrors) -> Vec<Flow> {
    let none = Map::new();
    let object = json.as_object().unwrap_or(&none);
    let mut fields = Fields { object, path: String::new(), step: None, errors };
    if let Some(version) = fields.string("version")
        && !VERSIONS.contains(&version.as_str())
    {
        fields.wrong("version", "unknown version of Selenium IDE's format; known are 1.0 to 3.0");
    }
    fields.string("name");
    let base_url =
        fields.string("url").map(|url| text::literal(&url)).filter(|url| !url.is_empty());
    let delay = fields.get("delay").and_then(|_| fields.number_between("delay", 0.0, 60_000.0));
    let delay = Duration::from_secs_f64(delay.unwrap_or_default() / 1_000.0);
    for (index, plugin) in fields.array("plugins").unwrap_or_default().iter().enumerate() {
        // Only a path is loaded by the runner; an object is what old IDEs remembered of an extension.
        if plugin.is_string() {
            let message = "plug-ins are JavaScript for Selenium IDE's own runner and cannot be run; \
                           replace their commands and remove them";
            fields.wrong(&format!("plugins[{index}]"), message);
        }
    }
    let tests = fields.array("tests").unwrap_or_default();
    let suites = fields.array("suites").unwrap_or_default();
    let tests: Vec<Test> = tests
        .iter()
        .enumerate()
        .filter_map(|(index, json)| read_test(index, json, errors))
        .collect();
    let mut flows = Vec::new();
    let mut told = BTreeSet::new();
    let mut step_count = 0;
    for (title, parts) in plan(&suites, &tests, errors) {
        errors.test = Some(title.clone());
        let mut inliner = Inliner {
            tests: &tests,
            steps: Vec::new(),
            constants: BTreeMap::new(),
            told: &mut told,
            errors,
        };
        for part in parts {
            if inliner.inline(part, &shown(&part.name), 0).is_none() {
                break;
            }
        }
        let steps = inliner.steps;
        errors.test = None;
        step_count += steps.len();
        if step_count > PROJECT_STEPS_MAX {
            errors.file_problem(format!("a project may have at most {PROJECT_STEPS_MAX} steps"));
            break;
        }
        flows.push(Flow {
            timeout: TIMEOUT,
            base_url: base_url.clone(),
            delay,
            // The reference fails a command that meets a dialog that none has answered.
            hold_dialogs: true,
            ..Flow::new(title, steps)
        });
    }
    flows
}

fn shown(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}

/// Reads one test; `None` if it is no test at all.
fn read_test(index: usize, json: &Value, errors: &mut ImportErrors) -> Option<Test> {
    let path = format!("tests[{index}]");
    let none = Map::new();
    let object = json.as_object().unwrap_or(&none);
    let mut fields = Fields { object, path: path.clone(), step: None, errors };
    if !json.is_object() {
        fields.wrong("", format!("a test must be an object, not {}", type_of(json)));
        return None;
    }
    let name = fields.string_required("name")?;
    let id = fields.string("id").unwrap_or_else(|| name.clone());
    let commands = fields.array_required("commands")?;
    let mut problems = ImportErrors::new(&errors.file);
    problems.test = Some(shown(&name));
    let errors = &mut problems;
    let mut items = Vec::new();
    let dialogs = command::answers_open_dialogs(&commands);
    for (number, json) in commands.iter().enumerate() {
        let path = format!("{path}.commands[{number}]");
        let object = json.as_object().unwrap_or(&none);
        let mut fields = Fields { object, path, step: Some((number + 1, String::new())), errors };
        if !json.is_object() {
            fields.wrong("", format!("a command must be an object, not {}", type_of(json)));
            continue;
        }
        if let Some(item) = command::item(number, &mut fields, dialogs) {
            items.push(item);
        }
    }
    check_blocks(&items, &path, errors);
    Some(Test { id, name, items, problems })
}

/// Every test must close its own blocks, so that it also does where another test runs it.
fn check_blocks(items: &[Item], path: &str, errors: &mut ImportErrors) {
    let mut steps = Vec::new();
    let mut numbers = Vec::new();
    for item in items {
        if let Item::Steps(number, made) = item {
            steps.extend(made.iter().cloned());
            numbers.resize(steps.len(), *number);
        }
    }
    let Err(error) = Cursor::new(&steps) else { return };
    let number = numbers.get(error.step()).copied().unwrap_or_default();
    errors.push(Problem {
        test: None,
        step_number: Some(number + 1),
        step_type: steps.get(error.step()).map(|step| step.type_name().to_owned()),
        field: format!("{path}.commands[{number}].command"),
        message: error.to_string(),
    });
}

/// Returns which tests make which flows, by title.
fn plan<'t>(
    suites: &[Value],
    tests: &'t [Test],
    errors: &mut ImportErrors,
) -> Vec<(String, Vec<&'t Test>)> {
    let none = Map::new();
    let mut planned: Vec<(String, Vec<&Test>)> = Vec::new();
    for (index, json) in suites.iter().enumerate() {
        let path = format!("suites[{index}]");
        let object = json.as_object().unwrap_or(&none);
        let mut fields = Fields { object, path, step: None, errors };
        if !json.is_object() {
            fields.wrong("", format!("a suite must be an object, not {}", type_of(json)));
            continue;
        }
        let name = fields.string("name").unwrap_or_default();
        let keeps_session = fields.bool("persistSession").unwrap_or(false);
        fields.bool("parallel");
        let mut members = Vec::new();
        for (place, id) in fields.array("tests").unwrap_or_default().iter().enumerate() {
            match id.as_str().and_then(|id| tests.iter().find(|test| test.id == id)) {
                Some(test) => members.push(test),
                None => fields.wrong(&format!("tests[{place}]"), "no test has this id"),
            }
        }
        if members.is_empty() {
            continue;
        }
        if keeps_session {
            planned.push((name, members));
        } else {
            let alone =
                members.into_iter().map(|test| (format!("{name} › {}", test.name), vec![test]));
            planned.extend(alone);
        }
    }
    if planned.is_empty() {
        planned = tests.iter().map(|test| (test.name.clone(), vec![test])).collect();
    }
    if planned.is_empty() {
        errors.file_problem("a project without tests tests nothing".to_owned());
    }
    distinct(&mut planned);
    planned
}

/// A file and a title make a test, so that titles within a file must differ.
fn distinct(planned: &mut [(String, Vec<&Test>)]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (title, _) in planned {
        let count = seen.entry(title.clone()).or_default();
        *count += 1;
        if *count > 1 {
            title.push_str(&format!(" ({count})"));
        }
    }
}

/// Puts the steps of tests, and of those that they run, into one list.
struct Inliner<'t> {
    tests: &'t [Test],
    steps: Vec<Step>,
    constants: BTreeMap<String, String>,
    told: &'t mut BTreeSet<String>,
    errors: &'t mut ImportErrors,
}

impl Inliner<'_> {
    /// Appends a test; `None` when a bound was passed, which is then told.
    fn inline(&mut self, test: &Test, path: &str, depth: usize) -> Option<()> {
        if self.told.insert(test.id.clone()) {
            self.errors.take_over(&test.problems);
        }
        for item in &test.items {
            match item {
                Item::Steps(_, steps) => steps.iter().for_each(|step| self.push(path, step)),
                Item::Constant(step, (name, value)) => {
                    self.push(path, step);
                    self.constants.insert(name.clone(), value.clone());
                }
                Item::Run(number, target) => {
                    let place = format!("{path} › {} run", number + 1);
                    if depth >= RUN_DEPTH_MAX {
                        self.wrong(
                            *number,
                            format!("tests run tests more than {RUN_DEPTH_MAX} deep"),
                        );
                        return None;
                    }
                    let name = text::with_constants(target, &self.constants);
                    let Some(inner) = self.tests.iter().find(|test| test.name == name) else {
                        let names = self.tests.iter().map(|test| test.name.as_str());
                        let hint = nearest(&name, names);
                        self.wrong(*number, format!("no test of the file has this name{hint}"));
                        continue;
                    };
                    self.inline(inner, &format!("{place} › {}", shown(&inner.name)), depth + 1)?;
                }
            }
            if self.steps.len() > STEPS_MAX {
                self.errors.file_problem(format!("a test may have at most {STEPS_MAX} steps"));
                return None;
            }
        }
        Some(())
    }

    fn push(&mut self, path: &str, step: &Step) {
        let mut step = step.clone();
        let inner = step.label.take().unwrap_or_default();
        step.label = Some(format!("{path} › {inner}"));
        self.steps.push(step);
    }

    fn wrong(&mut self, number: usize, message: String) {
        self.errors.push(Problem {
            test: None,
            step_number: Some(number + 1),
            step_type: Some("run".to_owned()),
            field: "target".to_owned(),
            message,
        });
    }
}

#[cfg(test)]
mod tests;
