//! Tests with a real browser.

mod hygiene;
mod recordings;
mod shop;
mod site;
mod support;
