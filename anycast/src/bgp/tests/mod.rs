//! The machine and its codec against bytes, against itself, against recorded data and against another parser.

mod announce;
mod collision;
mod fuzz;
mod machine;
mod open;
mod pair;
mod support;
mod update;
