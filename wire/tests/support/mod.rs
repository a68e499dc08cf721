//! Seeded random messages: well-formed ones by our writer, and the same with bytes changed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use wire::{Class, Flags, Name, Rtype, Section, Writer};

/// A record that was written: section, owner, type, TTL, RDATA.
pub(crate) type Written = (Section, Name, Rtype, u32, Vec<u8>);

/// A source of messages that is the same for the same seed.
pub(crate) struct Generator(SmallRng);

impl Generator {
    pub(crate) fn new(seed: u64) -> Generator {
        Generator(SmallRng::seed_from_u64(seed))
    }

    /// A name of few labels from a small alphabet, so that suffixes repeat and compress.
    pub(crate) fn name(&mut self) -> Name {
        let mut name: Name = ["example.", "EXAMPLE.", "net.", "."][self.0.random_range(0..4)].parse().unwrap();
        for _ in 0..self.0.random_range(0..5) {
            let label: Vec<u8> = match self.0.random_range(0..6) {
                0 => vec![b'x'; 63],
                1 => (0..self.0.random_range(1..20)).map(|_| self.0.random()).collect(),
                _ => [&b"www"[..], b"mail", b"WwW", b"ns1"][self.0.random_range(0..4)].to_vec(),
            };
            name = name.prepend(&label).unwrap_or(name);
        }
        name
    }

    fn octets(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.0.random()).collect()
    }

    fn rdata(&mut self) -> (Rtype, Vec<u8>) {
        let (one, two) = (self.name(), self.name());
        let mut data = Vec::new();
        let rtype = match self.0.random_range(0..10) {
            0 => {
                data = self.octets(4);
                Rtype::A
            }
            1 => {
                data = self.octets(16);
                Rtype::AAAA
            }
            2 => {
                data.extend_from_slice(one.as_bytes());
                [Rtype::NS, Rtype::CNAME, Rtype::PTR, Rtype::DNAME][self.0.random_range(0..4)]
            }
            3 => {
                data = self.octets(2);
                data.extend_from_slice(one.as_bytes());
                Rtype::MX
            }
            4 => {
                data.extend_from_slice(one.as_bytes());
                data.extend_from_slice(two.as_bytes());
                data.extend(self.octets(20));
                Rtype::SOA
            }
            5 => {
                data = self.octets(6);
                data.extend_from_slice(one.as_bytes());
                Rtype::SRV
            }
            6 => {
                let count = self.0.random_range(0..40);
                data.push(count as u8);
                data.extend((0..count).map(|_| b'a' + self.0.random_range(0..26u8)));
                Rtype::TXT
            }
            7 => {
                let count = self.0.random_range(1..60); // hickory refuses none, against RFC 3597 §3
                data = self.octets(count);
                Rtype(65_280)
            }
            8 => {
                data = vec![0, 15, 13, 2];
                data.extend(self.octets(14));
                data.extend_from_slice(one.as_bytes());
                data.extend(self.octets(64));
                Rtype::RRSIG
            }
            _ => {
                data = self.octets(4);
                data.extend(self.octets(32));
                Rtype::DS
            }
        };
        (rtype, data)
    }

    /// A well-formed message, and the records it was made from.
    pub(crate) fn message(&mut self) -> (Vec<u8>, Vec<Written>) {
        let mut buffer = vec![0; 4096];
        let mut writer = Writer::new(&mut buffer, 4096).unwrap();
        writer.set_id(self.0.random());
        writer.set_flags(Flags(self.0.random()).with_rcode(wire::Rcode(0)).with_opcode(wire::Opcode::QUERY));
        writer.question(self.name().as_ref(), Rtype::A, Class::IN).unwrap();
        let mut records = Vec::new();
        for section in [Section::Answer, Section::Authority, Section::Additional] {
            for _ in 0..self.0.random_range(0..6) {
                let (rtype, data) = self.rdata();
                let (owner, ttl) = (self.name(), self.0.random_range(0..1u32 << 31));
                if writer.record(section, owner.as_ref(), rtype, Class::IN, ttl, &data).is_ok() {
                    records.push((section, owner, rtype, ttl, data));
                }
            }
        }
        if self.0.random() {
            let _ = writer.opt(self.0.random(), 0, 0, self.0.random(), |o| o.option(10, &[7; 8]));
        }
        let length = writer.finish();
        buffer.truncate(length);
        (buffer, records)
    }

    /// Changes a few bytes, or cuts the end off.
    pub(crate) fn mutate(&mut self, message: &mut Vec<u8>) {
        for _ in 0..self.0.random_range(1..4) {
            let at = self.0.random_range(0..message.len());
            match self.0.random_range(0..4) {
                0 => message[at] = self.0.random(),
                1 => message[at] ^= 1 << self.0.random_range(0..8),
                2 => message[at] = 0xc0,
                _ if message.len() > 13 => message.truncate(at.max(12)),
                _ => {}
            }
        }
    }

    pub(crate) fn bytes(&mut self, count_max: usize) -> Vec<u8> {
        let count = self.0.random_range(0..count_max);
        self.octets(count)
    }
}
