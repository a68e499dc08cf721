//! What the program and the daemon share, word for word: the numbers of `edge/kernel/layout.h`, which says what each is.
#![allow(missing_docs, dead_code, reason = "one table for two languages: said and used there")]

include!(concat!(env!("OUT_DIR"), "/layout.rs"));
