//! Whole messages, record by record, with compressed names read where they stand.

use crate::{Class, HEADER_BYTES, Header, Name, Rtype, WireError, name::skip_name, rdata, u16_at, u32_at};

/// The section that a record stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Answers the question.
    Answer,
    /// Names the authority, or proves an absence.
    Authority,
    /// May be of use; OPT and TSIG stand here.
    Additional,
}

/// A message whose header and questions have been read; its records are read as they are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Its header.
    pub header: Header,
    bytes: &'a [u8],
    records_start: usize,
}

impl<'a> Message<'a> {
    /// Reads the header and walks the question section.
    ///
    /// # Errors
    /// What is wrong with either.
    pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, WireError> {
        let header = Header::parse(bytes)?;
        let mut at = HEADER_BYTES;
        for _ in 0..header.qdcount {
            at = skip_name(bytes, at)? + 4;
            if at > bytes.len() {
                return Err(WireError::Short);
            }
        }
        Ok(Message { header, bytes, records_start: at })
    }

    /// All its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The entries of the question section: name, type, class.
    #[must_use]
    pub fn questions(&self) -> Questions<'a> {
        Questions { bytes: self.bytes, at: HEADER_BYTES, left: self.header.qdcount }
    }

    /// The records of all sections in order. After an error the iterator ends.
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        let Header { ancount, nscount, arcount, .. } = self.header;
        Records { bytes: self.bytes, at: self.records_start, left: [ancount, nscount, arcount] }
    }
}

/// Iterator over a question section.
#[derive(Debug, Clone)]
pub struct Questions<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u16,
}

impl Iterator for Questions<'_> {
    type Item = (Name, Rtype, Class);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (name, at) = Name::read(self.bytes, self.at).ok()?;
        self.at = at + 4;
        Some((name, Rtype(u16_at(self.bytes, at).ok()?), Class(u16_at(self.bytes, at + 2).ok()?)))
    }
}

/// Iterator over a message's records.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    left: [u16; 3],
}

impl Records<'_> {
    /// Where in the message the next record begins; after the last one, where they ended.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    fn take_section(&mut self) -> Option<Section> {
        let sections = [Section::Answer, Section::Authority, Section::Additional];
        self.left.iter_mut().zip(sections).find_map(|(left, section)| {
            *left = left.checked_sub(1)?;
            Some(section)
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let section = self.take_section()?;
        let record = Record::read(self.bytes, self.at, section);
        match &record {
            Ok(record) => self.at = record.rdata_end,
            Err(_) => self.left = [0; 3],
        }
        Some(record)
    }
}

/// One record where it stands in its message.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The section it stands in.
    pub section: Section,
    /// Where its owner name begins.
    pub offset: usize,
    /// Its type.
    pub rtype: Rtype,
    /// Its class; OPT has the sender's datagram size here.
    pub class: Class,
    /// Its time to live in seconds, as on the wire; OPT has flags here.
    pub ttl: u32,
    rdata_start: usize,
    rdata_end: usize,
    message: &'a [u8],
}

impl<'a> Record<'a> {
    fn read(message: &'a [u8], offset: usize, section: Section) -> Result<Record<'a>, WireError> {
        let at = skip_name(message, offset)?;
        let rdata_start = at + 10;
        let rdata_end = rdata_start + usize::from(u16_at(message, at + 8)?);
        if rdata_end > message.len() {
            return Err(WireError::Short);
        }
        Ok(Record {
            section,
            offset,
            rtype: Rtype(u16_at(message, at)?),
            class: Class(u16_at(message, at + 2)?),
            ttl: u32_at(message, at + 4)?,
            rdata_start,
            rdata_end,
            message,
        })
    }

    /// The owner name, decompressed.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn owner(&self) -> Result<Name, WireError> {
        Name::read(self.message, self.offset).map(|(name, _)| name)
    }

    /// RDATA as it stands, names in it perhaps compressed.
    #[must_use]
    pub fn rdata(&self) -> &'a [u8] {
        self.message.get(self.rdata_start..self.rdata_end).unwrap_or(&[])
    }

    /// Where in the message RDATA begins and ends.
    #[must_use]
    pub fn rdata_range(&self) -> std::ops::Range<usize> {
        self.rdata_start..self.rdata_end
    }

    /// Appends RDATA to `out`, names decompressed in the types that may have them compressed (RFC 3597 §4),
    /// and checks the fields of every type whose layout is known.
    ///
    /// # Errors
    /// [`WireError::Rdata`] when the fields don't fit the type, or what is wrong with a name.
    pub fn decompress_rdata(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        rdata::decompress(self.message, self.rdata_range(), self.rtype, out)
    }
}
