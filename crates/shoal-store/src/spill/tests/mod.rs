//! The store against a model, and its rules one by one. Threads and disks are played by the tests.
mod check;
mod model;
mod rules;
mod world;
