//! Builds messages into a caller's buffer, with name compression and a limit.

use crate::rdata::{Field, layout};
use crate::{Class, Flags, HEADER_BYTES, Header, NameRef, Rtype, Section};

/// The message would have grown over its limit; what was begun has been taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message is full")]
pub struct Full;

/// Names that later ones can point at; more are written out whole.
const TARGETS_MAX: usize = 64;
/// The furthest a pointer can point (14 bits, RFC 1035 §4.1.4).
const POINTER_MAX: usize = 0x3fff;
/// Labels in a name without the root.
const LABELS_MAX: usize = 127;

/// A place to come back to: see [`Writer::mark`].
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    length: usize,
    targets: usize,
    question_hashed: bool,
    counts: [u16; 3],
}

/// Writes one message. Sections are filled in their order; counts are kept and written by [`Writer::finish`].
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    length: usize,
    limit: usize,
    header: Header,
    /// The length of the name in the question, which stands right behind the header; 0 without a question. Most
    /// owners are that name: only one that differs makes a target of it.
    question_octets: usize,
    question_hashed: bool,
    /// Where suffixes of names stand, and a hash of each, so that most comparisons are of two numbers.
    targets: [(u16, u16); TARGETS_MAX],
    target_count: usize,
}

impl<'b> Writer<'b> {
    /// Begins a message of at most `limit` octets (bounded by the buffer) with room for its header.
    ///
    /// # Errors
    /// [`Full`] when not even a header fits.
    #[inline]
    pub fn new(buffer: &'b mut [u8], limit: usize) -> Result<Writer<'b>, Full> {
        let limit = limit.min(buffer.len()).min(crate::MESSAGE_BYTES_MAX);
        if limit < HEADER_BYTES {
            return Err(Full);
        }
        let header = Header::default();
        Ok(Writer {
            buffer,
            length: HEADER_BYTES,
            limit,
            header,
            question_octets: 0,
            question_hashed: false,
            targets: [(0, 0); TARGETS_MAX],
            target_count: 0,
        })
    }

    /// The message so far, in octets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Never: a message has a header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The octets that may still be written.
    #[must_use]
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.length)
    }

    /// Changes the limit, to keep room for what must still come or to use it.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.min(self.buffer.len()).min(crate::MESSAGE_BYTES_MAX);
    }

    /// Sets the message's id.
    pub fn set_id(&mut self, id: u16) {
        self.header.id = id;
    }

    /// Sets flags, opcode and response code.
    pub fn set_flags(&mut self, flags: Flags) {
        self.header.flags = flags;
    }

    /// Flags as they stand.
    #[must_use]
    pub fn flags(&self) -> Flags {
        self.header.flags
    }

    /// Records written into a section.
    #[must_use]
    pub fn count(&self, section: Section) -> u16 {
        match section {
            Section::Answer => self.header.ancount,
            Section::Authority => self.header.nscount,
            Section::Additional => self.header.arcount,
        }
    }

    /// Remembers the state, to come back to when a record set does not fit as a whole.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let Header { ancount, nscount, arcount, .. } = self.header;
        Mark {
            length: self.length,
            targets: self.target_count,
            question_hashed: self.question_hashed,
            counts: [ancount, nscount, arcount],
        }
    }

    /// Takes back all that was written since `mark`.
    pub fn rollback(&mut self, mark: Mark) {
        self.length = mark.length.min(self.length);
        self.target_count = mark.targets.min(self.target_count);
        self.question_hashed = mark.question_hashed;
        [self.header.ancount, self.header.nscount, self.header.arcount] = mark.counts;
    }

    /// Writes the question, in the case given.
    ///
    /// # Errors
    /// [`Full`].
    pub fn question(&mut self, name: NameRef<'_>, rtype: Rtype, class: Class) -> Result<(), Full> {
        let mark = self.mark();
        let is_first = self.length == HEADER_BYTES;
        let written = self
            .name(name, !is_first)
            .and_then(|()| self.put(&rtype.0.to_be_bytes()))
            .and_then(|()| self.put(&class.0.to_be_bytes()));
        match written {
            Ok(()) => self.header.qdcount = self.header.qdcount.saturating_add(1),
            Err(Full) => self.rollback(mark),
        }
        if is_first && written.is_ok() {
            self.question_octets = name.as_bytes().len();
        }
        written
    }

    /// Writes one record; owner and the names in RDATA of RFC 1035's types are compressed. `rdata` is
    /// uncompressed and fits its type.
    ///
    /// # Errors
    /// [`Full`]; nothing of the record remains.
    pub fn record(
        &mut self,
        section: Section,
        owner: NameRef<'_>,
        rtype: Rtype,
        class: Class,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), Full> {
        let mark = self.mark();
        let written = self.put_record(owner, rtype, class, ttl, rdata);
        match written {
            Ok(()) => {
                let count = match section {
                    Section::Answer => &mut self.header.ancount,
                    Section::Authority => &mut self.header.nscount,
                    Section::Additional => &mut self.header.arcount,
                };
                *count = count.saturating_add(1);
            }
            Err(Full) => self.rollback(mark),
        }
        written
    }

    /// Writes the OPT record (RFC 6891 §6.1.2); `options` writes them by [`OptionWriter::option`].
    ///
    /// # Errors
    /// [`Full`]; nothing of the record remains.
    pub fn opt(
        &mut self,
        udp_size: u16,
        extended_rcode: u8,
        version: u8,
        dnssec_ok: bool,
        options: impl FnOnce(&mut OptionWriter<'_, 'b>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        let mark = self.mark();
        let written = self.put_opt(udp_size, [extended_rcode, version, if dnssec_ok { 0x80 } else { 0 }, 0], options);
        match written {
            Ok(()) => self.header.arcount = self.header.arcount.saturating_add(1),
            Err(Full) => self.rollback(mark),
        }
        written
    }

    /// Writes the header and ends: the length of the message.
    #[must_use]
    #[inline]
    pub fn finish(self) -> usize {
        if let Some(place) = self.buffer.first_chunk_mut::<HEADER_BYTES>() {
            *place = self.header.to_bytes();
        }
        self.length
    }

    fn put_opt(
        &mut self,
        udp_size: u16,
        ttl: [u8; 4],
        options: impl FnOnce(&mut OptionWriter<'_, 'b>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        let [t0, t1] = Rtype::OPT.0.to_be_bytes();
        let [s0, s1] = udp_size.to_be_bytes();
        let [e0, e1, e2, e3] = ttl;
        self.put(&[0, t0, t1, s0, s1, e0, e1, e2, e3, 0, 0])?;
        let start = self.length;
        options(&mut OptionWriter(self))?;
        self.patch_length(start)
    }

    fn put_record(
        &mut self,
        owner: NameRef<'_>,
        rtype: Rtype,
        class: Class,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), Full> {
        self.name(owner, true)?;
        let [t0, t1] = rtype.0.to_be_bytes();
        let [c0, c1] = class.0.to_be_bytes();
        let [s0, s1, s2, s3] = ttl.to_be_bytes();
        let [l0, l1] = u16::try_from(rdata.len()).map_err(|_| Full)?.to_be_bytes();
        self.put(&[t0, t1, c0, c1, s0, s1, s2, s3, l0, l1])?;
        let fields = layout(rtype);
        if !fields.contains(&Field::CompressibleName) {
            return self.put(rdata);
        }
        let start = self.length;
        self.put_compressible(fields, rdata)?;
        self.patch_length(start)
    }

    fn put_compressible(&mut self, fields: &[Field], rdata: &[u8]) -> Result<(), Full> {
        let mut rest = rdata;
        for field in fields {
            match field {
                Field::CompressibleName => {
                    let Ok(name) = NameRef::parse(rest) else { break };
                    self.name(name, true)?;
                    rest = rest.get(name.as_bytes().len()..).unwrap_or(&[]);
                }
                Field::Octets(count) => {
                    let Some((octets, after)) = rest.split_at_checked(*count) else { break };
                    self.put(octets)?;
                    rest = after;
                }
                _ => break,
            }
        }
        self.put(rest)
    }

    /// Writes how many octets stand from `start` to here into the two before `start`.
    fn patch_length(&mut self, start: usize) -> Result<(), Full> {
        let length = u16::try_from(self.length.saturating_sub(start)).map_err(|_| Full)?;
        let place = start.checked_sub(2).and_then(|at| self.buffer.get_mut(at..start)).ok_or(Full)?;
        place.copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.length + bytes.len();
        if end > self.limit {
            return Err(Full);
        }
        self.buffer.get_mut(self.length..end).ok_or(Full)?.copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }

    /// Writes a name, pointing at its longest suffix that stands already (if `compress`), and remembers the
    /// suffixes that it writes.
    fn name(&mut self, name: NameRef<'_>, compress: bool) -> Result<(), Full> {
        let bytes = name.as_bytes();
        if !compress || name.is_root() {
            return self.put(bytes);
        }
        if self.question_octets > 0 {
            if self.question_name().is_some_and(|question| question == bytes || question.eq_ignore_ascii_case(bytes)) {
                return self.put(&(0xc000 | HEADER_BYTES as u16).to_be_bytes());
            }
            self.add_question();
        }
        let mut starts = [0u8; LABELS_MAX];
        let mut hashes = [0u16; LABELS_MAX];
        let count = suffix_hashes(bytes, &mut starts, &mut hashes);
        let suffixes = || starts.iter().zip(&hashes).take(count).map(|(start, hash)| (usize::from(*start), *hash));
        let found = suffixes().find_map(|(start, hash)| {
            let suffix = bytes.get(start..)?;
            self.find_target(suffix, hash).map(|offset| (start, offset))
        });
        let (written, pointer) = match found {
            Some((start, offset)) => (start, Some(offset)),
            None => (bytes.len(), None),
        };
        let at = self.length;
        self.put(bytes.get(..written).unwrap_or(bytes))?;
        if let Some(offset) = pointer {
            self.put(&(0xc000 | offset).to_be_bytes())?;
        }
        for (start, hash) in suffixes().take_while(|(start, _)| *start < written) {
            self.add_target(at + start, hash);
        }
        Ok(())
    }

    fn question_name(&self) -> Option<&[u8]> {
        self.buffer.get(HEADER_BYTES..HEADER_BYTES + self.question_octets)
    }

    /// Makes targets of the question's name and its suffixes, unless they are.
    fn add_question(&mut self) {
        if std::mem::replace(&mut self.question_hashed, true) {
            return;
        }
        let mut starts = [0u8; LABELS_MAX];
        let mut hashes = [0u16; LABELS_MAX];
        let count = self.question_name().map_or(0, |bytes| suffix_hashes(bytes, &mut starts, &mut hashes));
        for (start, hash) in starts.iter().zip(&hashes).take(count) {
            self.add_target(HEADER_BYTES + usize::from(*start), *hash);
        }
    }

    fn add_target(&mut self, offset: usize, hash: u16) {
        if offset <= POINTER_MAX
            && let Some(slot) = self.targets.get_mut(self.target_count)
        {
            *slot = (hash, offset as u16);
            self.target_count += 1;
        }
    }

    fn find_target(&self, suffix: &[u8], hash: u16) -> Option<u16> {
        let known = self.targets.get(..self.target_count)?;
        known.iter().find(|(h, offset)| *h == hash && self.same_name(usize::from(*offset), suffix)).map(|t| t.1)
    }

    /// Is the (perhaps compressed) name at `at` the uncompressed `suffix`? We wrote it, so it is well-formed;
    /// the bounds are for the reader's peace.
    fn same_name(&self, mut at: usize, mut suffix: &[u8]) -> bool {
        for _ in 0..=LABELS_MAX * 2 {
            let Some(&length) = self.buffer.get(at) else { return false };
            if length >= 0xc0 {
                let Some(&low) = self.buffer.get(at + 1) else { return false };
                at = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                continue;
            }
            let octets = usize::from(length) + 1;
            let (Some(mine), Some(theirs)) = (self.buffer.get(at..at + octets), suffix.get(..octets)) else {
                return false;
            };
            if !mine.eq_ignore_ascii_case(theirs) {
                return false;
            }
            if length == 0 {
                return true;
            }
            at += octets;
            suffix = suffix.get(octets..).unwrap_or(&[]);
        }
        false
    }
}

/// Writes the options of an OPT record.
#[derive(Debug)]
pub struct OptionWriter<'w, 'b>(&'w mut Writer<'b>);

impl OptionWriter<'_, '_> {
    /// Writes one option.
    ///
    /// # Errors
    /// [`Full`].
    pub fn option(&mut self, code: u16, data: &[u8]) -> Result<(), Full> {
        let length = u16::try_from(data.len()).map_err(|_| Full)?;
        self.0.put(&code.to_be_bytes())?;
        self.0.put(&length.to_be_bytes())?;
        self.0.put(data)
    }
}

/// Fills in where each suffix of a name begins, from the longest, and a hash of it without case; how many
/// there are, the root left out.
fn suffix_hashes(bytes: &[u8], starts: &mut [u8; LABELS_MAX], hashes: &mut [u16; LABELS_MAX]) -> usize {
    let mut count = 0;
    let mut at = 0usize;
    while let (Some(&length), Some(slot)) = (bytes.get(at), starts.get_mut(count)) {
        if length == 0 {
            break;
        }
        *slot = at as u8;
        count += 1;
        at += 1 + usize::from(length);
    }
    let mut hash = 0x811c_9dc5u32;
    let mut end = at;
    for (start, slot) in starts.iter().zip(hashes.iter_mut()).take(count).rev() {
        let label = bytes.get(usize::from(*start)..end).unwrap_or(&[]);
        for chunk in label.chunks(4) {
            let word = match chunk.first_chunk::<4>() {
                Some(word) => u32::from_le_bytes(*word),
                None => chunk.iter().fold(0, |word, octet| word << 8 | u32::from(*octet)),
            };
            // 0x20 set folds letters; other octets that fold together are told apart by the comparison.
            hash = (hash.rotate_left(5) ^ (word | 0x2020_2020)).wrapping_mul(0x9e37_79b1);
        }
        *slot = (hash >> 16) as u16;
        end = usize::from(*start);
    }
    count
}
