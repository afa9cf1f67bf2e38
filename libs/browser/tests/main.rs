//! Tests with a real browser.

mod grid;
mod hygiene;
mod kinds;
mod recordings;
mod shop;
mod site;
mod support;
