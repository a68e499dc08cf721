//! Requests to an origin, signed or not, and the verification of what comes back (RFC 8945).
//!
//! The MACs are `domain`'s; this module gives it time and messages, and turns its verdicts into [`Error`]s.

use std::sync::Arc;

use domain::base::iana::{Class, Opcode, OptionCode, Rtype as DomainRtype};
use domain::base::message_builder::AdditionalBuilder;
use domain::base::{Message, MessageBuilder, Name as DomainName, Serial, ToName, Ttl};
use domain::dep::octseq::OctetsBuilder;
use domain::rdata::Soa;
use domain::rdata::tsig::Time48;
use domain::tsig::{Algorithm, ClientSequence, Key as DomainKey, KeyName, ValidationError};
use wire::{Header, Name, NameRef, Rcode, Rtype};

use crate::error::{Error, TsigFault};
use crate::peers::{PATH_OPTION, PATH_QUESTION};

/// The datagram size that requests announce (DNS flag day 2020).
const UDP_PAYLOAD_BYTES: u16 = 1232;

/// A TSIG key.
#[derive(Clone)]
pub(crate) struct Key {
    key: Arc<DomainKey>,
    name: String,
    algorithm: config::KeyAlgorithm,
}

impl Key {
    /// A key from the configuration.
    ///
    /// # Errors
    /// [`Error::Configuration`] when its name is not a domain name.
    pub(crate) fn new(key: &config::Key) -> Result<Key, Error> {
        let wrong = |why: &dyn std::fmt::Display| Error::Configuration {
            item: format!("key {}", key.name),
            why: why.to_string(),
        };
        let algorithm = match key.algorithm {
            config::KeyAlgorithm::HmacSha256 => Algorithm::Sha256,
            config::KeyAlgorithm::HmacSha384 => Algorithm::Sha384,
            config::KeyAlgorithm::HmacSha512 => Algorithm::Sha512,
        };
        let wire_name: Name = key.name.parse().map_err(|error| wrong(&error))?;
        let name = DomainName::from_slice(wire_name.as_bytes()).map_err(|error| wrong(&error))?;
        let name: KeyName = name.try_to_name().map_err(|_| wrong(&"too long a name"))?;
        let inner = DomainKey::new(algorithm, &key.secret, name, None, None).map_err(|error| wrong(&error))?;
        Ok(Key { key: Arc::new(inner), name: key.name.clone(), algorithm: key.algorithm })
    }

    /// The key's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The key as `domain` has it.
    pub(crate) fn inner(&self) -> &Arc<DomainKey> {
        &self.key
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("name", &self.name).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// What to ask an origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// The message's id.
    pub id: u16,
    /// The zone.
    pub apex: NameRef<'a>,
    /// SOA, AXFR or IXFR.
    pub question: Rtype,
    /// The serial that we have, for IXFR.
    pub have: Option<u32>,
    /// Whether it has EDNS, and asks how long the origin's copy is good for (RFC 7314).
    pub edns: bool,
    /// Whether it asks which nodes the copy came through: another node is asked.
    pub path: bool,
}

/// Verifies the messages of one answer.
#[derive(Clone)]
pub(crate) enum Verifier {
    /// No key is configured: everything passes.
    Unsigned,
    /// With the key that signed the request.
    Signed(Box<ClientSequence<Arc<DomainKey>>>, Key),
}

impl Request<'_> {
    /// The request as it goes on the wire, and what verifies its answer.
    ///
    /// # Errors
    /// [`TsigFault::NoRoom`], which cannot happen with names of legal length.
    pub(crate) fn build(&self, key: Option<&Key>, unix_s: u64) -> Result<(Vec<u8>, Verifier), Error> {
        let full =
            || Error::Tsig { key: key.map_or_else(String::new, |key| key.name.clone()), fault: TsigFault::NoRoom };
        let mut message = self.unsigned().ok_or_else(full)?;
        let verifier = match key {
            None => Verifier::Unsigned,
            Some(key) => {
                let sequence = ClientSequence::request(Arc::clone(&key.key), &mut message, Time48::from_u64(unix_s));
                Verifier::Signed(Box::new(sequence.map_err(|_| full())?), key.clone())
            }
        };
        Ok((message.finish(), verifier))
    }

    fn unsigned(&self) -> Option<AdditionalBuilder<Vec<u8>>> {
        let apex = DomainName::from_slice(self.apex.as_bytes()).ok()?;
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(self.id);
        builder.header_mut().set_opcode(Opcode::QUERY);
        let mut question = builder.question();
        question.push((apex, DomainRtype::from_int(self.question.0))).ok()?;
        let mut authority = question.authority();
        if let (Rtype::IXFR, Some(serial)) = (self.question, self.have) {
            // Of this SOA only the serial counts (RFC 1995 §3).
            let root = DomainName::root_ref;
            let soa = Soa::new(root(), root(), Serial(serial), Ttl::ZERO, Ttl::ZERO, Ttl::ZERO, Ttl::ZERO);
            authority.push((apex, Class::IN, Ttl::ZERO, soa)).ok()?;
        }
        let mut additional = authority.additional();
        if self.edns {
            additional
                .opt(|opt| {
                    opt.set_udp_payload_size(UDP_PAYLOAD_BYTES);
                    opt.push_raw_option(OptionCode::EXPIRE, 0, |_| Ok(()))?;
                    if self.path {
                        let length = u16::try_from(PATH_QUESTION.len()).unwrap_or(0);
                        opt.push_raw_option(PATH_OPTION.into(), length, |option| option.append_slice(PATH_QUESTION))?;
                    }
                    Ok(())
                })
                .ok()?;
        }
        Some(additional)
    }
}

impl Verifier {
    /// Verifies the next message; its TSIG record is taken out of the count.
    ///
    /// # Errors
    /// [`Error::Tsig`]; [`Error::Refused`] for an unsigned error answer, which says more than the missing signature.
    pub(crate) fn check(&mut self, message: Vec<u8>, question: Rtype, unix_s: u64) -> Result<Vec<u8>, Error> {
        let Verifier::Signed(sequence, key) = self else {
            return Ok(message);
        };
        let header = Header::parse(&message).map_err(|source| Error::Malformed { question, source })?;
        let fault = |fault| Error::Tsig { key: key.name.clone(), fault };
        let mut message = Message::from_octets(message).map_err(|_| fault(TsigFault::Malformed))?;
        match sequence.answer(&mut message, Time48::from_u64(unix_s)) {
            Ok(()) => Ok(message.into_octets()),
            Err(ValidationError::ServerUnsigned) if header.flags.rcode() != Rcode::NOERROR => {
                Err(Error::Refused { question, rcode: header.flags.rcode(), signed: false })
            }
            Err(error) => Err(fault(describe(error))),
        }
    }

    /// Verifies that the answer may end here: its last message was signed.
    ///
    /// # Errors
    /// [`TsigFault::UnsignedTail`].
    pub(crate) fn done(self) -> Result<(), Error> {
        match self {
            Verifier::Unsigned => Ok(()),
            Verifier::Signed(sequence, key) => {
                sequence.done().map_err(|_| Error::Tsig { key: key.name, fault: TsigFault::UnsignedTail })
            }
        }
    }
}

fn describe(error: ValidationError) -> TsigFault {
    match error {
        ValidationError::BadAlg | ValidationError::BadKey => TsigFault::OtherKey,
        ValidationError::BadSig | ValidationError::BadTrunc => TsigFault::BadSignature,
        ValidationError::BadTime => TsigFault::BadTime,
        ValidationError::FormErr | ValidationError::BadOther => TsigFault::Malformed,
        ValidationError::ServerUnsigned => TsigFault::Unsigned,
        ValidationError::ServerBadKey => TsigFault::UnknownAtOrigin,
        ValidationError::ServerBadSig => TsigFault::RejectedByOrigin,
        ValidationError::TooManyUnsigned => TsigFault::UnsignedTail,
        ValidationError::ServerBadTime { client, server } => {
            let seconds = |time: Time48| i64::try_from(u64::from(time)).unwrap_or(i64::MAX);
            TsigFault::ClocksDiffer { difference_s: seconds(server).saturating_sub(seconds(client)) }
        }
    }
}

#[cfg(test)]
#[path = "tsig_tests.rs"]
mod tests;
