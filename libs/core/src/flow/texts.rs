//! Every text of a step in which variables are replaced. Code is not among them: see [`super::Scope::code`].

use super::{
    Check, Comparison, DialogAction, FrameChoice, NotANumber, OptionBy, Point, Quantity, Selector,
    Selectors, Source, Step, StepKind, Subject, Target,
};

/// Replaces the texts and numbers of a step.
pub(super) fn each_text(step: &mut Step, change: &impl Fn(&mut String)) -> Result<(), NotANumber> {
    each_url(step, change);
    if let Some(timeout) = &mut step.timeout {
        number(timeout, change)?;
    }
    if let Some(title) = step.navigation.as_mut().and_then(|navigation| navigation.title.as_mut()) {
        change(title);
    }
    match &mut step.kind {
        StepKind::Change { value: text, .. }
        | StepKind::SetContent { text, .. }
        | StepKind::SelectWindow { handle: text }
        | StepKind::SelectFrame(FrameChoice::Index(text))
        | StepKind::Echo { text }
        | StepKind::Store { source: Source::Text(text) | Source::Json(text), .. }
        | StepKind::Store { source: Source::Attribute { name: text, .. }, .. }
        | StepKind::Dialog { action: DialogAction::Answer(text), .. } => change(text),
        StepKind::Type(typing) => change(&mut typing.text),
        StepKind::Click(click) | StepKind::DoubleClick(click) => point(&mut click.point, change)?,
        StepKind::Pointer(pointer) => point(&mut pointer.point, change)?,
        StepKind::ResizeWindow { width, height } => {
            number(width, change)?;
            number(height, change)?;
        }
        StepKind::Pause { milliseconds } => number(milliseconds, change)?,
        StepKind::SelectOption(select) => select.option.iter_mut().for_each(|by| match by {
            OptionBy::Label(text)
            | OptionBy::MostlyLabel(text)
            | OptionBy::Value(text)
            | OptionBy::Id(text)
            | OptionBy::NthChild(text) => change(text),
        }),
        StepKind::Check(check) => {
            if let Subject::Attribute { name, .. } = &mut check.subject {
                change(name);
            }
            match &mut check.comparison {
                // Done already: it is a URL.
                Comparison::Equals(_) if matches!(check.subject, Subject::Url) => {}
                Comparison::Equals(text)
                | Comparison::EqualsTrimmed(text)
                | Comparison::Contains(text) => change(text),
                Comparison::Holds => {}
            }
        }
        StepKind::WaitForElement(wait) => {
            wait.attributes.iter_mut().for_each(|(_, value)| change(value));
        }
        StepKind::Navigate { .. }
        | StepKind::SetViewport(_)
        | StepKind::Hover { .. }
        | StepKind::KeyDown { .. }
        | StepKind::KeyUp { .. }
        | StepKind::Scroll { .. }
        | StepKind::Close
        | StepKind::EmulateNetworkConditions { .. }
        | StepKind::WaitForExpression { .. }
        | StepKind::Custom { .. }
        | StepKind::DragTo { .. }
        | StepKind::SetChecked { .. }
        | StepKind::Submit { .. }
        | StepKind::Press { .. }
        | StepKind::SelectFrame(_)
        | StepKind::Dialog { .. }
        | StepKind::Script(_)
        | StepKind::Store { .. }
        | StepKind::Control(_) => {}
    }
    for selectors in selectors_of(&mut step.kind) {
        each_selector(selectors, change);
    }
    Ok(())
}

/// Replaces the URLs of a step.
pub(super) fn each_url(step: &mut Step, change: &impl Fn(&mut String)) {
    match &mut step.kind {
        StepKind::Navigate { url } => change(url),
        StepKind::Check(Check {
            subject: Subject::Url,
            comparison: Comparison::Equals(url),
            ..
        }) => {
            change(url);
        }
        _ => {}
    }
    if let Target::Url(url) = &mut step.target {
        change(url);
    }
    if let Some(url) = step.navigation.as_mut().and_then(|navigation| navigation.url.as_mut()) {
        change(url);
    }
}

pub(super) fn number(
    quantity: &mut Quantity,
    change: &impl Fn(&mut String),
) -> Result<(), NotANumber> {
    let Quantity::Text(text) = quantity else { return Ok(()) };
    let mut text = text.clone();
    change(&mut text);
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => *quantity = Quantity::Number(number),
        _ => return Err(NotANumber { text }),
    }
    Ok(())
}

fn point(point: &mut Point, change: &impl Fn(&mut String)) -> Result<(), NotANumber> {
    number(&mut point.x, change)?;
    number(&mut point.y, change)
}

fn selectors_of(kind: &mut StepKind) -> Vec<&mut Selectors> {
    match kind {
        StepKind::DragTo { selectors, onto } => vec![selectors, onto],
        StepKind::Click(click) | StepKind::DoubleClick(click) => vec![&mut click.selectors],
        StepKind::Hover { selectors }
        | StepKind::Change { selectors, .. }
        | StepKind::SetChecked { selectors, .. }
        | StepKind::SetContent { selectors, .. }
        | StepKind::Submit { selectors }
        | StepKind::SelectFrame(FrameChoice::Element(selectors)) => vec![selectors],
        StepKind::Scroll { selectors, .. } | StepKind::Press { selectors, .. } => {
            selectors.iter_mut().collect()
        }
        StepKind::WaitForElement(wait) => vec![&mut wait.selectors],
        StepKind::Pointer(pointer) => vec![&mut pointer.selectors],
        StepKind::SelectOption(select) => vec![&mut select.selectors],
        StepKind::Type(typing) => vec![&mut typing.selectors],
        StepKind::Check(check) => match &mut check.subject {
            Subject::Text(selectors)
            | Subject::Value(selectors)
            | Subject::SelectedLabel(selectors)
            | Subject::Attribute { selectors, .. }
            | Subject::Checked(selectors)
            | Subject::Editable(selectors)
            | Subject::Present(selectors)
            | Subject::Visible(selectors) => vec![selectors],
            Subject::Title
            | Subject::Url
            | Subject::Dialog(_)
            | Subject::Variable(_)
            | Subject::Expression(_) => Vec::new(),
        },
        StepKind::Store { source, .. } => match source {
            Source::ElementText(selectors)
            | Source::ElementValue(selectors)
            | Source::Attribute { selectors, .. }
            | Source::Count(selectors) => vec![selectors],
            Source::Text(_) | Source::Json(_) | Source::Title | Source::Url | Source::Window => {
                Vec::new()
            }
        },
        StepKind::Navigate { .. }
        | StepKind::SetViewport(_)
        | StepKind::KeyDown { .. }
        | StepKind::KeyUp { .. }
        | StepKind::Close
        | StepKind::EmulateNetworkConditions { .. }
        | StepKind::WaitForExpression { .. }
        | StepKind::Custom { .. }
        | StepKind::ResizeWindow { .. }
        | StepKind::SelectWindow { .. }
        | StepKind::SelectFrame(_)
        | StepKind::Dialog { .. }
        | StepKind::Script(_)
        | StepKind::Pause { .. }
        | StepKind::Echo { .. }
        | StepKind::Control(_) => Vec::new(),
    }
}

fn each_selector(selectors: &mut Selectors, change: &impl Fn(&mut String)) {
    for part in selectors.0.iter_mut().flat_map(|chain| &mut chain.parts) {
        match part {
            Selector::Css(text)
            | Selector::Text(text)
            | Selector::XPath(text)
            | Selector::Pierce(text)
            | Selector::LinkText(text)
            | Selector::PartialLinkText(text) => change(text),
            Selector::HasText { css, text } => {
                change(css);
                change(text);
            }
            Selector::Aria { name, role } => {
                name.iter_mut().chain(role).for_each(change);
            }
        }
    }
}
