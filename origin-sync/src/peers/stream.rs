//! Transfers out: AXFR (RFC 5936) from a snapshot and IXFR (RFC 1995) from kept differences, message by message.
//!
//! ```text
//! AXFR = SOA(n) record* SOA(n)                          IXFR = SOA(n) (SOA(a) delete* SOA(b) add*)+ SOA(n)
//! ```
//!
//! Each message is as full as it can be and signed; the first has the question and the OPT record.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::tsig::{Key as DomainKey, ServerSequence};
use wire::{Class, Full, MESSAGE_BYTES_MAX, Rcode, Rtype, Section, Writer};
use zones::{Cursor, Difference, Walked, Zone};

use super::PeerCounters;
use super::access::Permit;
use super::request::{Form, Provenance, SoaRecord};
use super::seal;
use crate::notify::unix_now_s;

/// What a [`PeerTransfer`](super::PeerTransfer) has next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextMessage {
    /// A message of so many bytes.
    Message(usize),
    /// Nothing: the transfer is complete.
    End,
    /// Nothing, though the transfer is not complete.
    Broken,
}

/// What is transferred.
pub(crate) enum Content {
    /// The whole zone.
    Whole,
    /// What leads to it.
    Differences(Vec<Arc<Difference>>),
}

/// One transfer out. It holds the version of the zone that it began with.
pub struct TransferOut {
    form: Form,
    sequence: ServerSequence<Arc<DomainKey>>,
    zone: Arc<Zone>,
    soa: SoaRecord,
    /// For the first message, then none.
    provenance: Option<Provenance>,
    state: State,
    counters: Arc<PeerCounters>,
    _permit: Permit,
}

enum State {
    Opening(Content),
    Whole(Cursor),
    Differences(VecDeque<Arc<Difference>>, Part),
    Closing,
    Done,
}

/// Where in a difference: its records that are done.
#[derive(Clone, Copy)]
struct Part {
    deleted: usize,
    added: usize,
}

const START: Part = Part { deleted: 0, added: 0 };

impl TransferOut {
    pub(crate) fn new(
        form: Form,
        sequence: ServerSequence<Arc<DomainKey>>,
        (zone, soa): (Arc<Zone>, SoaRecord),
        provenance: Provenance,
        content: Content,
        (counters, permit): (Arc<PeerCounters>, Permit),
    ) -> TransferOut {
        let (state, provenance) = (State::Opening(content), Some(provenance));
        TransferOut { form, sequence, zone, soa, provenance, state, counters, _permit: permit }
    }

    /// Writes the next message to `out`, which has room for any.
    pub fn next(&mut self, out: &mut [u8]) -> NextMessage {
        if matches!(self.state, State::Done) {
            return NextMessage::End;
        }
        let Some(length) = self.write(out) else { return NextMessage::Broken };
        match seal::sign_next(out, length, &mut self.sequence, unix_now_s()) {
            Some(length) => {
                self.counters.bytes.fetch_add(length as u64, Ordering::Relaxed);
                NextMessage::Message(length)
            }
            None => NextMessage::Broken,
        }
    }

    fn write(&mut self, out: &mut [u8]) -> Option<usize> {
        let provenance = self.provenance.take();
        let opt_bytes = provenance.as_ref().map_or(0, |provenance| self.form.opt_bytes(provenance));
        let mut writer = self.form.begin(out, MESSAGE_BYTES_MAX, Rcode::NOERROR, provenance.is_some()).ok()?;
        let limit = writer.len() + writer.room();
        writer.set_limit(limit.saturating_sub(opt_bytes));
        self.fill(&mut writer);
        if writer.count(Section::Answer) == 0 {
            // Not even one record fits.
            return None;
        }
        writer.set_limit(limit);
        if let Some(provenance) = &provenance {
            self.form.opt(&mut writer, Some(provenance)).ok()?;
        }
        Some(writer.finish())
    }

    /// Writes records until the message is full or none are left.
    fn fill(&mut self, writer: &mut Writer<'_>) {
        loop {
            let next = match &mut self.state {
                State::Done => return,
                State::Opening(content) => {
                    if self.soa.write(writer, self.zone.apex()).is_err() {
                        return;
                    }
                    match content {
                        Content::Whole => State::Whole(Cursor::default()),
                        Content::Differences(list) => State::Differences(std::mem::take(list).into(), START),
                    }
                }
                State::Whole(cursor) => match write_zone(&self.zone, cursor, writer) {
                    Walked::Stopped => return,
                    Walked::End => State::Closing,
                },
                State::Differences(list, part) => match list.front() {
                    None => State::Closing,
                    Some(difference) => {
                        if write_difference(difference, part, writer).is_err() {
                            return;
                        }
                        list.pop_front();
                        *part = START;
                        continue;
                    }
                },
                State::Closing => match self.soa.write(writer, self.zone.apex()) {
                    Ok(()) => State::Done,
                    Err(Full) => return,
                },
            };
            self.state = next;
        }
    }
}

fn write_zone(zone: &Zone, cursor: &mut Cursor, writer: &mut Writer<'_>) -> Walked {
    zone.walk(cursor, |record| {
        // It opens and closes the transfer.
        if record.rtype == Rtype::SOA {
            return ControlFlow::Continue(());
        }
        match writer.record(Section::Answer, record.owner, record.rtype, Class::IN, record.ttl, record.rdata) {
            Ok(()) => ControlFlow::Continue(()),
            Err(Full) => ControlFlow::Break(()),
        }
    })
}

/// Writes a difference from where `part` is: each half begins with its SOA record, which came first when it was received.
fn write_difference(difference: &Difference, part: &mut Part, writer: &mut Writer<'_>) -> Result<(), Full> {
    for record in difference.deletions().skip(part.deleted) {
        writer.record(Section::Answer, record.owner, record.rtype, Class::IN, record.ttl, record.rdata)?;
        part.deleted += 1;
    }
    for record in difference.additions().skip(part.added) {
        writer.record(Section::Answer, record.owner, record.rtype, Class::IN, record.ttl, record.rdata)?;
        part.added += 1;
    }
    Ok(())
}

impl std::fmt::Debug for TransferOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TransferOut").field("zone", &self.zone).finish_non_exhaustive()
    }
}
