//! Tests with a real browser.

mod flows;
mod grid;
mod hygiene;
mod kinds;
mod mutants;
mod mutations;
mod recordings;
mod reference;
mod shop;
mod site;
mod steps;
mod support;
