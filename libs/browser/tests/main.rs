//! Tests with a real browser.

mod shop;
mod support;
