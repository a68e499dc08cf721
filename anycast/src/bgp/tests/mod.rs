//! The machine and its codec against bytes, against itself, against recorded data and against another parser.

mod pair;
mod support;
