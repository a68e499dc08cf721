//! Another node: what it said last, and whether what comes in its name is of now.
//!
//! Each side gives the other a challenge, and heeds only what echoes it. Numbers that count up keep out what was said
//! before in the same process; a process that starts anew is recognised by its own number, and gets a new challenge, so that
//! nothing of the one before is ever heeded again. No clock has to be right for that.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

use super::message::{Message, shortened};
use super::{ASK_AGAIN, GAP_MIN, HEARTBEAT, Random, SILENT_AFTER, WHY_BYTES_MAX};
use crate::MemberStatus;

/// Longest word for a state.
const STATE_BYTES_MAX: usize = 16;

/// What comes in a node's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is of now.
    New,
    /// It may be of now, but does not show it.
    Unproven,
    /// It was said before.
    Old,
}

/// Another node.
#[derive(Debug)]
pub(super) struct Member {
    address: SocketAddr,
    services: BTreeSet<String>,
    /// What it has to echo.
    challenge: u64,
    /// What it wants to be echoed.
    echo: Option<u64>,
    /// The process that it is, and the last number heard of that.
    process: Option<(u64, u64)>,
    heard: Option<Instant>,
    announces: BTreeSet<String>,
    /// Those of them for which it is well.
    well: BTreeSet<String>,
    state: String,
    why: String,
    sent: Option<Instant>,
    due: bool,
}

impl Member {
    pub(super) fn new(address: SocketAddr, challenge: u64) -> Member {
        Member {
            address,
            services: BTreeSet::new(),
            challenge,
            echo: None,
            process: None,
            heard: None,
            announces: BTreeSet::new(),
            well: BTreeSet::new(),
            state: String::new(),
            why: String::new(),
            sent: None,
            due: true,
        }
    }

    pub(super) fn set_services(&mut self, services: &[String]) {
        self.services = services.iter().cloned().collect();
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn challenge(&self) -> u64 {
        self.challenge
    }

    pub(super) fn echo(&self) -> Option<u64> {
        self.echo
    }

    /// Whether the file says that it announces this service.
    pub(super) fn serves(&self, service: &str) -> bool {
        self.services.contains(service)
    }

    /// Takes over what it says, if it is of now.
    pub(super) fn hear(&mut self, message: &Message, now: Instant, random: &mut Random) -> Heard {
        if message.echo != Some(self.challenge) {
            // While it is heard, what is to be echoed is known; who replays old words cannot change that.
            let old = self.process.is_some_and(|(boot, seq)| boot == message.boot && message.seq <= seq);
            if self.silent(now) && !old {
                self.echo = Some(message.challenge);
            }
            return if old { Heard::Old } else { Heard::Unproven };
        }
        match self.process {
            Some((boot, seq)) if boot == message.boot && message.seq <= seq => return Heard::Old,
            Some((boot, _)) if boot == message.boot => {}
            // The process before, if there was one, is no more. The new one proves itself by its next words.
            _ => {
                if self.process.is_some() {
                    self.challenge = random();
                    self.due = true;
                }
            }
        }
        self.process = Some((message.boot, message.seq));
        self.echo = Some(message.challenge);
        self.heard = Some(now);
        self.state = shortened(&message.state, STATE_BYTES_MAX);
        self.why = shortened(&message.why, WHY_BYTES_MAX);
        let announced = message.services.iter().filter(|says| says.announces && self.services.contains(&says.name));
        self.well = announced.clone().filter(|says| says.well).map(|says| says.name.clone()).collect();
        self.announces = announced.map(|says| says.name.clone()).collect();
        Heard::New
    }

    fn silent(&self, now: Instant) -> bool {
        self.heard.is_none_or(|heard| now.saturating_duration_since(heard) >= SILENT_AFTER)
    }

    /// Whether it is known to announce a service, and to be well.
    pub(super) fn stands_in(&self, service: &str, now: Instant) -> bool {
        self.well.contains(service) && !self.silent(now)
    }

    /// It has to be told something, soon.
    pub(super) fn is_due(&mut self) {
        self.due = true;
    }

    /// When it is told next.
    pub(super) fn next_send(&self, asking: bool) -> Option<Instant> {
        let wait = match () {
            () if self.due => GAP_MIN,
            () if asking => ASK_AGAIN,
            () => HEARTBEAT,
        };
        self.sent.map(|sent| sent + wait)
    }

    /// Whether it is told something now.
    pub(super) fn sends(&self, asking: bool, now: Instant) -> bool {
        self.next_send(asking).is_none_or(|next| next <= now)
    }

    pub(super) fn sent(&mut self, now: Instant) {
        self.sent = Some(now);
        self.due = false;
    }

    pub(super) fn status(&self, name: &str, now: Instant) -> MemberStatus {
        let silent = self.silent(now);
        MemberStatus {
            node: name.to_owned(),
            state: if silent { "silent".to_owned() } else { self.state.clone() },
            why: if silent { String::new() } else { self.why.clone() },
            announces: self.announces.iter().filter(|_| !silent).cloned().collect(),
            heard_s_ago: self.heard.map(|heard| now.saturating_duration_since(heard).as_secs_f64()),
        }
    }
}
