//! Signing messages that are written already (RFC 8945): `domain` has the MACs, but signs only what its own builder wrote.

use std::sync::Arc;

use domain::base::message_builder::{AdditionalBuilder, MessageBuilder};
use domain::base::wire::Composer;
use domain::dep::octseq::{OctetsBuilder, ShortBuf, Truncate};
use domain::rdata::tsig::Time48;
use domain::tsig::{ClientTransaction, Key, ServerSequence, ServerTransaction};
use wire::HEADER_BYTES;

/// A message that lacks nothing but its signature, in the form in which `domain`'s builder takes it: the builder begins
/// by emptying its target and writing a blank header, and here that does nothing.
struct Unsigned<'m> {
    out: &'m mut [u8],
    length: usize,
    begun: bool,
}

impl AsRef<[u8]> for Unsigned<'_> {
    fn as_ref(&self) -> &[u8] {
        self.out.get(..self.length).unwrap_or_default()
    }
}

impl AsMut<[u8]> for Unsigned<'_> {
    fn as_mut(&mut self) -> &mut [u8] {
        self.out.get_mut(..self.length).unwrap_or_default()
    }
}

impl OctetsBuilder for Unsigned<'_> {
    type AppendError = ShortBuf;

    fn append_slice(&mut self, slice: &[u8]) -> Result<(), ShortBuf> {
        if !std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let end = self.length + slice.len();
        self.out.get_mut(self.length..end).ok_or(ShortBuf)?.copy_from_slice(slice);
        self.length = end;
        Ok(())
    }
}

impl Truncate for Unsigned<'_> {
    fn truncate(&mut self, length: usize) {
        if self.begun {
            self.length = self.length.min(length);
        }
    }
}

impl Composer for Unsigned<'_> {}

/// The next message of a signed answer.
///
/// Like the others it takes the message that is the first `length` bytes of `out` and gives its length then; `None` if
/// `out` has no room for the signature, or holds no message.
pub(crate) fn sign_next(
    out: &mut [u8],
    length: usize,
    sequence: &mut ServerSequence<Arc<Key>>,
    unix_s: u64,
) -> Option<usize> {
    let signed = sign(out, length, |message| sequence.answer(message, Time48::from_u64(unix_s)).ok());
    signed.map(|(length, ())| length)
}

/// An answer of one message.
pub(crate) fn sign_answer(
    out: &mut [u8],
    length: usize,
    transaction: ServerTransaction<Arc<Key>>,
    unix_s: u64,
) -> Option<usize> {
    let signed = sign(out, length, |message| transaction.answer(message, Time48::from_u64(unix_s)).ok());
    signed.map(|(length, ())| length)
}

/// A request; with what verifies its answer.
pub(crate) fn sign_request(
    out: &mut [u8],
    length: usize,
    key: Arc<Key>,
    unix_s: u64,
) -> Option<(usize, ClientTransaction<Arc<Key>>)> {
    sign(out, length, |message| ClientTransaction::request(key, message, Time48::from_u64(unix_s)).ok())
}

fn sign<R>(
    out: &mut [u8],
    length: usize,
    sign: impl FnOnce(&mut AdditionalBuilder<Unsigned<'_>>) -> Option<R>,
) -> Option<(usize, R)> {
    if length < HEADER_BYTES || length > out.len() {
        return None;
    }
    let mut message = MessageBuilder::from_target(Unsigned { out, length, begun: false }).ok()?.additional();
    let signed = sign(&mut message)?;
    Some((message.finish().length, signed))
}

#[cfg(test)]
mod tests {
    use domain::base::Message as DomainMessage;
    use domain::tsig::{Algorithm, ClientSequence};
    use wire::{Class, Flags, Message, Name, Rtype, Section, Writer};

    use super::*;

    const NOW_S: u64 = 1_700_000_000;

    fn key() -> Arc<Key> {
        Arc::new(Key::new(Algorithm::Sha256, &[7; 32], "node".parse().unwrap(), None, None).unwrap())
    }

    fn message(out: &mut [u8], response: bool, records: u16) -> usize {
        let name: Name = "example.".parse().unwrap();
        let mut writer = Writer::new(out, 500).unwrap();
        writer.set_id(0x1234);
        writer.set_flags(Flags::default().with_qr(response));
        writer.question(name.as_ref(), Rtype::SOA, Class::IN).unwrap();
        for number in 0..records {
            writer.record(Section::Answer, name.as_ref(), Rtype::TXT, Class::IN, 60, &number.to_be_bytes()).unwrap();
        }
        writer.finish()
    }

    fn parsed(bytes: &[u8]) -> DomainMessage<Vec<u8>> {
        DomainMessage::from_octets(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_request_and_its_answers_verify() {
        let (mut out, now) = ([0; 1000], Time48::from_u64(NOW_S));
        let length = message(&mut out, false, 0);
        let unsigned = out[..length].to_vec();
        let (signed, client) = sign_request(&mut out, length, key(), NOW_S).unwrap();
        let mut request = parsed(&out[..signed]);
        let server = ServerTransaction::request(&key(), &mut request, now).unwrap().unwrap();
        // The TSIG record is taken out of the count alone.
        assert!(request.as_slice().starts_with(&unsigned));
        let length = message(&mut out, true, 3);
        let plain = out[..length].to_vec();
        let signed = sign_answer(&mut out, length, server, NOW_S + 1).unwrap();
        assert_eq!(signed, length + usize::from(key().compose_len()));
        let mut answer = parsed(&out[..signed]);
        client.answer(&mut answer, now).unwrap();
        assert!(answer.as_slice().starts_with(&plain));
    }

    #[test]
    fn every_message_of_a_sequence_verifies() {
        let now = Time48::from_u64(NOW_S);
        let mut request = MessageBuilder::new_vec().additional();
        let mut client = ClientSequence::request(key(), &mut request, now).unwrap();
        let mut server = ServerSequence::request(&key(), &mut request.into_message(), now).unwrap().unwrap();
        for records in 0..5 {
            let mut out = [0; 1000];
            let length = message(&mut out, true, records);
            let signed = sign_next(&mut out, length, &mut server, NOW_S).unwrap();
            assert!(Message::parse(&out[..signed]).unwrap().records().all(|record| record.is_ok()));
            client.answer(&mut parsed(&out[..signed]), now).unwrap();
        }
        client.done().unwrap();
    }

    #[test]
    fn without_room_nothing_is_signed() {
        let mut out = [0; 1000];
        let length = message(&mut out, false, 0);
        let room = length + usize::from(key().compose_len());
        assert!(sign_request(&mut out[..room - 1], length, key(), NOW_S).is_none());
        let length = message(&mut out, false, 0);
        assert!(sign_request(&mut out[..room], length, key(), NOW_S).is_some());
        assert!(sign_request(&mut out[..5], 5, key(), NOW_S).is_none());
        assert!(sign_request(&mut out[..20], 21, key(), NOW_S).is_none());
    }
}
