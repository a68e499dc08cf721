//! What the end-to-end, interop and conformance tests share: zones, questions, answers and comparing them. The servers
//! and the networks they run in come from the lab.

pub mod answer;
pub mod ask;
pub mod compare;
pub mod differences;
pub mod generator;
pub mod mrt;
mod question;
mod random;
mod zone_file;

pub use answer::Answer;
pub use question::Question;
pub use random::Random;
pub use zone_file::{Contents, Signing, ZoneFile, rich_questions, rich_text, rich_zones};
