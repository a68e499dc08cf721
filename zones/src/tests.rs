//! Answers against the examples of the RFCs, and against a naive model.

mod apply;
pub(crate) mod model;
mod questions;
mod rfc;
mod signer;
