//! Tests with a real browser.

mod browsers;
mod capture;
mod egress;
mod flows;
mod grid;
mod hangs;
mod hygiene;
mod kinds;
mod lookups;
mod mutants;
mod mutations;
mod names;
mod options;
mod recordings;
mod reference;
mod reset;
mod selenium;
mod shop;
mod site;
mod support;
