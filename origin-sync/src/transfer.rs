//! Reads the messages of an AXFR (RFC 5936) or IXFR (RFC 1995) answer, record by record, and judges them. No I/O.
//!
//! ```text
//! AXFR = SOA(n) record* SOA(n)
//! IXFR = SOA(n)                                       n is not newer than what we have: up to date
//!      | SOA(n) (SOA(a) delete* SOA(b) add*)+ SOA(n)  differences; the first a is ours, the last b is n
//!      | SOA(n) record* SOA(n)                        the whole zone instead
//! ```
//!
//! Any of them may be spread over messages at any record. What is read goes to a [`Sink`] at once; nothing that a sink
//! has may be used before [`Interpreter::message`] says [`Progress::Done`].

use wire::{Class, Header, Message, Name, NameRef, Opcode, Rcode, Record, Rtype, Section, rdata};

use crate::client::expire_option;
use crate::error::Error;
use crate::serial;

/// Where the records of a transfer go.
pub(crate) trait Sink {
    /// A whole zone follows, by [`Sink::add`].
    fn begin_whole(&mut self) -> Result<(), Error>;
    /// A difference follows: [`Sink::delete`] (first of all the old SOA), then [`Sink::add`] (first the new SOA).
    fn begin_difference(&mut self, from: u32) -> Result<(), Error>;
    /// The difference is complete.
    fn end_difference(&mut self, to: u32) -> Result<(), Error>;
    /// A record of the zone, or one that the difference adds.
    fn add(&mut self, owner: NameRef<'_>, rtype: Rtype, ttl: u32, rdata: &[u8]) -> Result<(), Error>;
    /// A record that the difference deletes.
    fn delete(&mut self, owner: NameRef<'_>, rtype: Rtype, ttl: u32, rdata: &[u8]) -> Result<(), Error>;
}

/// Bounds on what an origin may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Records, those of differences included.
    pub records_max: u64,
    /// Bytes of messages.
    pub bytes_max: u64,
}

/// Where a transfer stands after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Messages are missing.
    More,
    /// It is complete.
    Done(Answer),
}

/// What a complete answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A single SOA: the origin has nothing newer than this serial.
    NothingNewer {
        /// The origin's serial.
        serial: u32,
    },
    /// The whole zone is in the sink.
    Whole,
    /// Differences are in the sink.
    Differences,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing has been read.
    Start,
    /// The first SOA has been read, and does not tell what the answer is.
    Undecided,
    Whole,
    Deleting {
        from: u32,
    },
    Adding {
        to: u32,
    },
    Done(Answer),
}

/// The SOA record that a transfer begins with and must end with.
#[derive(Clone, Debug)]
struct Opening {
    serial: u32,
    ttl: u32,
    rdata: Vec<u8>,
}

/// Reads one answer.
pub(crate) struct Interpreter {
    apex: Name,
    id: u16,
    question: Rtype,
    have: Option<u32>,
    limits: Limits,
    state: State,
    opening: Opening,
    rdata: Vec<u8>,
    messages: u64,
    records: u64,
    bytes: u64,
    expire_s: Option<u32>,
}

impl Interpreter {
    /// For the answer to a request for AXFR, or for IXFR from the serial `have`.
    pub(crate) fn new(apex: Name, id: u16, question: Rtype, have: Option<u32>, limits: Limits) -> Interpreter {
        let opening = Opening { serial: 0, ttl: 0, rdata: Vec::new() };
        let have = have.filter(|_| question == Rtype::IXFR);
        let (state, rdata) = (State::Start, Vec::new());
        Interpreter {
            apex,
            id,
            question,
            have,
            limits,
            state,
            opening,
            rdata,
            messages: 0,
            records: 0,
            bytes: 0,
            expire_s: None,
        }
    }

    /// Records read so far.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Bytes read so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The serial that the transfer leads to; 0 before its first record.
    pub(crate) fn serial(&self) -> u32 {
        self.opening.serial
    }

    /// How long the origin's own copy is good for, if it has said so (RFC 7314).
    pub(crate) fn expire_s(&self) -> Option<u32> {
        self.expire_s
    }

    /// The error for a connection that ends now.
    pub(crate) fn cut_off(&self) -> Error {
        Error::CutOff { question: self.question, messages: self.messages, records: self.records }
    }

    /// Reads the next message.
    ///
    /// # Errors
    /// Why the transfer is to be thrown away.
    pub(crate) fn message(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<Progress, Error> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limits.bytes_max {
            return Err(Error::TooManyBytes { limit: self.limits.bytes_max });
        }
        let message = Message::parse(bytes).map_err(|source| self.malformed(source))?;
        self.check_header(&message)?;
        self.messages += 1;
        for record in message.records() {
            let record = record.map_err(|source| self.malformed(source))?;
            // RFC 5936 §2.2: nothing of a zone is in the other sections.
            if record.section == Section::Answer {
                self.record(&record, sink)?;
            } else {
                self.expire_s = self.expire_s.or(expire_option(&record));
            }
        }
        match self.state {
            State::Start => Err(self.no_soa()),
            State::Undecided if self.have.is_some_and(|have| !serial::is_newer(self.opening.serial, have)) => {
                let answer = Answer::NothingNewer { serial: self.opening.serial };
                self.state = State::Done(answer);
                Ok(Progress::Done(answer))
            }
            State::Done(answer) => Ok(Progress::Done(answer)),
            _ => Ok(Progress::More),
        }
    }

    fn check_header(&self, message: &Message<'_>) -> Result<(), Error> {
        check_answer(message, self.id, self.apex.as_ref(), self.question, self.messages == 0)
    }

    fn record(&mut self, record: &Record<'_>, sink: &mut impl Sink) -> Result<(), Error> {
        if self.records >= self.limits.records_max {
            return Err(Error::TooManyRecords { limit: self.limits.records_max });
        }
        self.records += 1;
        let owner = record.owner().map_err(|source| self.malformed(source))?;
        self.check_record(owner.as_ref(), record)?;
        let mut rdata = std::mem::take(&mut self.rdata);
        rdata.clear();
        record.decompress_rdata(&mut rdata).map_err(|source| self.malformed(source))?;
        let outcome = if record.rtype == Rtype::SOA {
            self.soa(owner.as_ref(), record.ttl, &rdata, sink)
        } else {
            self.ordinary(owner.as_ref(), record, &rdata, sink)
        };
        self.rdata = rdata;
        outcome
    }

    fn check_record(&self, owner: NameRef<'_>, record: &Record<'_>) -> Result<(), Error> {
        let bad = |why| Error::BadRecord { owner: Box::new(owner.to_owned()), rtype: record.rtype, why };
        if !owner.is_within(self.apex.as_ref()) {
            return Err(Error::OutsideZone {
                owner: Box::new(owner.to_owned()),
                rtype: record.rtype,
                apex: Box::new(self.apex),
            });
        }
        if record.class != Class::IN {
            return Err(bad("its class is not IN"));
        }
        if record.rtype.is_meta() {
            return Err(bad("this type exists only in messages"));
        }
        if record.rtype == Rtype::SOA && !owner.eq_ignore_case(self.apex.as_ref()) {
            return Err(bad("a SOA record below the apex"));
        }
        Ok(())
    }

    fn ordinary(
        &mut self,
        owner: NameRef<'_>,
        record: &Record<'_>,
        rdata: &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), Error> {
        match self.state {
            State::Start => Err(self.no_soa()),
            State::Undecided => {
                self.begin_whole(sink)?;
                sink.add(owner, record.rtype, record.ttl, rdata)
            }
            State::Whole | State::Adding { .. } => sink.add(owner, record.rtype, record.ttl, rdata),
            State::Deleting { .. } => sink.delete(owner, record.rtype, record.ttl, rdata),
            State::Done(_) => Err(Error::Trailing { question: self.question }),
        }
    }

    fn soa(&mut self, owner: NameRef<'_>, ttl: u32, bytes: &[u8], sink: &mut impl Sink) -> Result<(), Error> {
        let serial = rdata::Soa::parse(bytes).map_err(|source| self.malformed(source))?.serial;
        match self.state {
            State::Start => {
                self.opening = Opening { serial, ttl, rdata: bytes.to_vec() };
                self.state = State::Undecided;
                Ok(())
            }
            State::Undecided => match self.have {
                Some(have) if serial == have => self.begin_difference(owner, serial, ttl, bytes, sink),
                // A second SOA that is not ours: a zone of a SOA alone, or differences from elsewhere.
                Some(have) if serial != self.opening.serial => {
                    Err(Error::OutOfSequence { expected: have, found: serial })
                }
                _ => {
                    self.begin_whole(sink)?;
                    self.close(serial, bytes, Answer::Whole)
                }
            },
            State::Whole => self.close(serial, bytes, Answer::Whole),
            State::Deleting { from } => {
                if !serial::is_newer(serial, from) {
                    return Err(Error::OutOfSequence { expected: self.opening.serial, found: serial });
                }
                self.state = State::Adding { to: serial };
                sink.add(owner, Rtype::SOA, ttl, bytes)
            }
            State::Adding { to } if to == self.opening.serial => {
                sink.end_difference(to)?;
                self.close(serial, bytes, Answer::Differences)
            }
            State::Adding { to } if serial == to => {
                sink.end_difference(to)?;
                self.begin_difference(owner, serial, ttl, bytes, sink)
            }
            State::Adding { to } => Err(Error::OutOfSequence { expected: to, found: serial }),
            State::Done(_) => Err(Error::Trailing { question: self.question }),
        }
    }

    fn begin_whole(&mut self, sink: &mut impl Sink) -> Result<(), Error> {
        sink.begin_whole()?;
        self.state = State::Whole;
        sink.add(self.apex.as_ref(), Rtype::SOA, self.opening.ttl, &self.opening.rdata)
    }

    fn begin_difference(
        &mut self,
        owner: NameRef<'_>,
        from: u32,
        ttl: u32,
        bytes: &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), Error> {
        self.state = State::Deleting { from };
        sink.begin_difference(from)?;
        sink.delete(owner, Rtype::SOA, ttl, bytes)
    }

    fn close(&mut self, serial: u32, bytes: &[u8], answer: Answer) -> Result<(), Error> {
        if !rdata::eq(Rtype::SOA, bytes, &self.opening.rdata) {
            return Err(Error::SoaMismatch { first: self.opening.serial, last: serial });
        }
        self.state = State::Done(answer);
        Ok(())
    }

    fn malformed(&self, source: wire::WireError) -> Error {
        Error::Malformed { question: self.question, source }
    }

    fn no_soa(&self) -> Error {
        Error::NoSoa { question: self.question, apex: Box::new(self.apex) }
    }
}

/// Checks that a message answers a request: id, flags, response code and question. Only the first message of an answer
/// must repeat the question (RFC 5936 §2.2.1).
///
/// # Errors
/// What does not fit.
pub(crate) fn check_answer(
    message: &Message<'_>,
    id: u16,
    apex: NameRef<'_>,
    question: Rtype,
    first: bool,
) -> Result<(), Error> {
    let Header { id: found_id, flags, qdcount, .. } = message.header;
    let wrong = |what, expected: String, found: String| Err(Error::NotTheAnswer { what, expected, found });
    if found_id != id {
        return wrong("id", id.to_string(), found_id.to_string());
    }
    if !flags.qr() {
        return wrong("QR flag", "a response".into(), "a query".into());
    }
    if flags.opcode() != Opcode::QUERY {
        return wrong("opcode", Opcode::QUERY.to_string(), flags.opcode().to_string());
    }
    if flags.rcode() != Rcode::NOERROR {
        return Err(Error::Refused { question, rcode: flags.rcode(), signed: true });
    }
    if flags.tc() && question != Rtype::SOA {
        return Err(Error::Truncated { question });
    }
    if qdcount == 0 && !first {
        return Ok(());
    }
    let expected = || format!("{apex} {question}");
    match message.questions().next() {
        Some((name, rtype, Class::IN)) if qdcount == 1 && rtype == question && name.as_ref().eq_ignore_case(apex) => {
            Ok(())
        }
        Some((name, rtype, class)) => wrong("question", expected(), format!("{name} {class} {rtype}")),
        None => wrong("question", expected(), "none".into()),
    }
}

#[cfg(test)]
#[path = "transfer_oracle_tests.rs"]
mod oracle_tests;
#[cfg(test)]
#[path = "transfer_tests.rs"]
mod tests;
