//! Where markers lead, and that everything comes to an end.

use super::*;
use crate::flow::{Flow, Value};
use proptest::prelude::*;

/// Builds steps from words: `if`, `elseif`, `else`, `while`, `times`, `foreach`, `do`, `repeatif`, `end`; any other is a step.
fn steps(words: &str) -> Vec<Step> {
    let condition = String::new;
    let limit = LOOP_EVALUATIONS_DEFAULT;
    words
        .split_whitespace()
        .map(|word| {
            Step::new(StepKind::Control(match word {
                "if" => Control::If { condition: condition() },
                "elseif" => Control::ElseIf { condition: condition() },
                "else" => Control::Else,
                "while" => Control::While { condition: condition(), limit: 3 },
                "times" => Control::Times { count: Quantity::Text("${n}".into()), limit },
                "foreach" => Control::ForEach { array: "list".into(), item: "item".into() },
                "do" => Control::Do,
                "repeatif" => Control::RepeatIf { condition: condition(), limit },
                "end" => Control::End,
                text => return Step::new(StepKind::Echo { text: text.into() }),
            }))
        })
        .collect()
}

fn scope() -> Scope {
    let mut scope = Scope::new(&Flow::new("t", Vec::new()));
    scope.set("n", "2.9".into(), false);
    scope.set("list", Value::List(vec!["x".into(), "y".into()]), false);
    scope
}

/// Walks through; conditions get these answers in order, then false. Returns the steps performed.
fn walk(words: &str, answers: &[bool]) -> Result<String, ControlFailure> {
    let steps = steps(words);
    let mut scope = scope();
    let mut cursor = Cursor::new(&steps).expect("closed");
    let mut answers = answers.iter();
    let mut seen = Vec::new();
    loop {
        match cursor.next(&mut scope)? {
            Next::Perform(step) => match &steps[step].kind {
                StepKind::Echo { text } if text == "item" => seen.push(scope.fill("${item}")),
                StepKind::Echo { text } => seen.push(text.clone()),
                _ => panic!("a marker is not performed"),
            },
            Next::Decide(_) => cursor.decide(answers.next().copied().unwrap_or(false)),
            Next::End => return Ok(seen.join(" ")),
        }
    }
}

#[test]
fn exactly_one_branch_is_taken() {
    let words = "a if b elseif c elseif d else e end f";
    for (answers, wanted) in [
        (vec![true, true, true], "a b f"),
        (vec![false, true, true], "a c f"),
        (vec![false, false, true], "a d f"),
        (vec![false, false, false], "a e f"),
    ] {
        assert_eq!(walk(words, &answers).unwrap(), wanted);
    }
    assert_eq!(walk("if a end", &[false]).unwrap(), "");
    assert_eq!(walk("if a elseif b end c", &[false, false]).unwrap(), "c");
    assert_eq!(walk("if if a else b end else c end", &[true, false]).unwrap(), "b");
    assert_eq!(walk("if else end", &[true]).unwrap(), "");
}

#[test]
fn loops_go_round_as_often_as_asked() {
    assert_eq!(walk("while a end b", &[true, true]).unwrap(), "a a b");
    assert_eq!(walk("do a repeatif b", &[true, true]).unwrap(), "a a a b");
    assert_eq!(walk("times a end b", &[]).unwrap(), "a a b");
    assert_eq!(walk("foreach item end", &[]).unwrap(), "x y");
    assert_eq!(walk("times if a end end", &[true, false]).unwrap(), "a");
}

#[test]
fn an_inner_loop_begins_again_in_every_round() {
    assert_eq!(walk("times b foreach item end end", &[]).unwrap(), "b x y b x y");
    assert_eq!(walk("times while a end end", &[true, true, false, true, true]).unwrap(), "a a a a");
}

#[test]
fn a_loop_that_does_not_end_fails_at_its_limit() {
    let failure = walk("while a end", &[true, true, true, true]).unwrap_err();
    assert_eq!(failure, ControlFailure::LoopLimit { limit: 3 });
}

#[test]
fn a_loop_over_nothing_fails_and_says_so() {
    let steps = steps("a foreach end");
    let mut cursor = Cursor::new(&steps).unwrap();
    let mut empty = Scope::default();
    assert_eq!(cursor.next(&mut empty), Ok(Next::Perform(0)));
    let failure = cursor.next(&mut empty).unwrap_err();
    assert_eq!((failure.class(), cursor.at()), (FailureClass::Assertion, 1));
}

#[test]
fn markers_without_their_block_are_refused_at_their_step() {
    for (words, step, says) in [
        ("a if b", 1, "`if` is never closed by its `end`"),
        ("do a", 0, "`do` is never closed by its `repeatIf`"),
        ("a end", 1, "`end` stands outside of an `if` block or a loop"),
        ("do end", 1, "`end` stands outside"),
        ("if repeatif", 1, "`repeatIf` stands outside of a `do` block"),
        ("while else end", 1, "`else` stands outside of an `if` block"),
        ("if else elseif end", 2, "`elseIf` comes after the `else`"),
        ("if else else end", 2, "`else` comes after the `else`"),
        ("do if repeatif end", 2, "`repeatIf` stands outside"),
    ] {
        let error = Cursor::new(&steps(words)).unwrap_err();
        assert_eq!(error.step(), step, "{words}");
        assert!(error.to_string().contains(says), "{words}: {error}");
    }
}

proptest! {
    #[test]
    fn every_walk_ends_and_no_marker_is_performed(
        words in proptest::collection::vec(0usize..10, 0..24), answers in proptest::collection::vec(any::<bool>(), 0..64)
    ) {
        const WORDS: [&str; 10] = ["if", "elseif", "else", "while", "times", "foreach", "do", "repeatif", "end", "a"];
        let words: Vec<_> = words.into_iter().map(|word| WORDS[word]).collect();
        let words = words.join(" ");
        if Cursor::new(&steps(&words)).is_ok() {
            let _ = walk(&words, &answers);
        }
    }
}
