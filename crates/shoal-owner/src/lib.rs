//! The sans-IO core of one process: what it owns and borrows, the tasks and actor calls that it has submitted.
//!
//! One door: [`Owner::handle`] takes a past fact and appends orders; whoever runs the core carries the orders out in
//! their order and feeds what comes of them back. No clock, socket, thread or random source: `now` is an argument, in
//! microseconds of any monotonic clock. Equal events give equal orders.
#![deny(missing_docs)]

mod api;

pub use api::*;
