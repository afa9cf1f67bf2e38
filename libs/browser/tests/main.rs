//! Tests with a real browser.

mod hygiene;
mod recordings;
mod reference;
mod shop;
mod site;
mod support;
