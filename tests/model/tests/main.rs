//! The model checker: every order of a bounded world's steps, with crashes, losses and repeats between any two of them.
//!
//! [`world`] is what there is, [`steps`] and [`finalize`] what can happen next, [`checked`] what the checker sees of both, [`reach`] whether
//! every state still leads to the end. [`real`] checks the product's rules, [`broken`] shows that each wrong rule is found.
//! [`feed`] and [`clock`] are small worlds of their own: order of commits, and time.

#![expect(
    clippy::print_stdout,
    reason = "a report of states and counterexamples is what this test is for"
)]

mod broken;
mod checked;
mod clock;
mod feed;
mod finalize;
mod reach;
mod real;
mod steps;
mod world;
