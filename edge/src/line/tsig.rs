//! Signed queries: there are no keys for clients here, so every key is unknown (RFC 8945 §5.2.1).

use wire::{Class, Message, Name, Rcode, Rtype, Section, WireError, Writer};

/// A TSIG record's RDATA without its MAC and other data (RFC 8945 §4.2):
/// algorithm name, time signed (6 octets), fudge (2), MAC size (2), MAC, original id (2), error (2), other length (2).
#[derive(Debug)]
pub(super) struct UnknownKey {
    key: Name,
    rdata: [u8; RDATA_BYTES_MAX],
    length: usize,
}

const RDATA_BYTES_MAX: usize = wire::NAME_BYTES_MAX + 16;
const TIME_AND_FUDGE_BYTES: usize = 8;

impl UnknownKey {
    /// Reads the record at the end of a query, and makes the unsigned one of the answer.
    pub(super) fn read(message: &[u8]) -> Result<UnknownKey, WireError> {
        let message = Message::parse(message)?;
        let mut last = None;
        for record in message.records() {
            last = Some(record?);
        }
        let record = last.filter(|record| record.rtype == Rtype::TSIG).ok_or(WireError::PseudoRecord)?;
        let (algorithm, after) = Name::read(message.as_bytes(), record.rdata_range().start)?;
        let mut rest = message.as_bytes().get(after..record.rdata_range().end).ok_or(WireError::Short)?;
        let time_and_fudge = take(&mut rest, TIME_AND_FUDGE_BYTES)?;
        let &[high, low] = take(&mut rest, 2)? else { return Err(WireError::Short) };
        take(&mut rest, usize::from(u16::from_be_bytes([high, low])))?;
        let original_id = take(&mut rest, 2)?;
        let _error = take(&mut rest, 2)?;
        let &[high, low] = take(&mut rest, 2)? else { return Err(WireError::Short) };
        if usize::from(u16::from_be_bytes([high, low])) != rest.len() {
            return Err(WireError::Rdata);
        }
        let mut rdata = [0; RDATA_BYTES_MAX];
        let parts =
            [algorithm.as_bytes(), time_and_fudge, &[0, 0], original_id, &Rcode::BADKEY.0.to_be_bytes(), &[0, 0]];
        let mut length = 0;
        for (to, from) in rdata.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
            length += 1;
        }
        Ok(UnknownKey { key: record.owner()?, rdata, length })
    }

    /// Ends a message with the record, if it fits.
    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        let rdata = self.rdata.get(..self.length).unwrap_or_default();
        // Without room for it the code alone has to do.
        let _ = writer.record(Section::Additional, self.key.as_ref(), Rtype::TSIG, Class::ANY, 0, rdata);
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], WireError> {
    let (taken, after) = rest.split_at_checked(length).ok_or(WireError::Short)?;
    *rest = after;
    Ok(taken)
}
