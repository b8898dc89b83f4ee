//! Tests that need several parts of the crate.
mod crash;
mod free;
mod full;
mod model;
pub(crate) mod processes;
mod threads;
mod warm;
pub(crate) mod world;
