//! Master files made to order, and the real zone and questions that the lab carries.

use std::{fmt::Write as _, io::Read};

use flate2::read::GzDecoder;

use crate::LabError;

/// The root zone of 2017-08-21; see lab/data/README.md.
const ROOT_ZONE: &[u8] = include_bytes!("../data/root-2017082100.zone.gz");
/// Questions that a root server was asked; see lab/data/README.md.
const ROOT_QUERIES: &[u8] = include_bytes!("../data/root-queries.txt.gz");
/// No file that the lab carries is larger than this when unpacked.
const UNPACKED_BYTES_MAX: u64 = 64 << 20;

/// SOA, NS with addresses: the beginning of a master file for `apex`. Serial 1.
pub fn head(apex: &str) -> String {
    let apex = apex.trim_end_matches('.');
    format!(
        "$ORIGIN {apex}.\n$TTL 300\n\
         @ SOA ns1 hostmaster 1 3600 600 604800 60\n\
         @ NS ns1\n@ NS ns2\n\
         ns1 A 192.0.2.1\nns1 AAAA 2001:db8::1\nns2 A 192.0.2.2\nns2 AAAA 2001:db8::2\n"
    )
}

/// A small zone with one of everything: addresses, alias, wildcard, mail, service, delegation with and without DS.
pub fn small(apex: &str) -> String {
    let mut text = head(apex);
    text.push_str(
        "@ A 192.0.2.10\n@ AAAA 2001:db8::10\n@ MX 10 mail\n@ TXT \"a small zone\"\n\
         www A 192.0.2.80\nwww AAAA 2001:db8::80\nalias CNAME www\nmail A 192.0.2.25\n\
         *.wild A 192.0.2.99\n_dns._udp SRV 0 0 53 ns1\ndeep.empty.nonterminal TXT \"deep\"\n\
         sub NS ns.sub\nns.sub A 192.0.2.53\n\
         signed NS ns1\nsigned DS 12345 13 2 \
         0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n\
         ftp DNAME archive\nfiles.archive A 192.0.2.21\n",
    );
    text
}

/// A zone of `names` names `n000000`…, each with one A record; `names` + 7 records with the head.
pub fn flat(apex: &str, names: u32) -> String {
    let mut text = head(apex);
    text.reserve(names as usize * 28);
    for number in 0..names {
        let [_, a, b, c] = number.to_be_bytes();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "n{number:06} A 10.{a}.{b}.{c}");
    }
    text
}

/// The names of [`flat`] as questions, `NAME TYPE` a line, in an order that jumps about.
pub fn flat_questions(apex: &str, names: u32) -> String {
    /// A prime larger than any count of names used: every step visits a name not visited before.
    const STRIDE: u64 = 7_368_787;
    let apex = apex.trim_end_matches('.');
    let mut text = String::with_capacity(names as usize * 32);
    for step in 0..u64::from(names) {
        let number = step * STRIDE % u64::from(names.max(1));
        let _ = writeln!(text, "n{number:06}.{apex}. A");
    }
    text
}

/// The real signed root zone of 2017-08-21, serial 2017082100, as a master file. Its signatures expired long ago.
pub fn root() -> Result<String, LabError> {
    unpack(ROOT_ZONE)
}

/// 49,739 real questions to a root server, `NAME TYPE` a line.
pub fn root_questions() -> Result<String, LabError> {
    unpack(ROOT_QUERIES)
}

fn unpack(packed: &[u8]) -> Result<String, LabError> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed)
        .take(UNPACKED_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(LabError::io("unpacking the lab's own data"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_real_data_is_whole() {
        assert!(root().unwrap().contains("2017082100"));
        assert_eq!(root_questions().unwrap().lines().count(), 49_739);
    }

    #[test]
    fn every_name_is_asked_for_once() {
        let questions = flat_questions("example.", 1000);
        assert_eq!(questions.lines().collect::<BTreeSet<_>>().len(), 1000);
        assert_eq!(
            flat("example", 1000).lines().filter(|line| line.starts_with('n') && line.contains(" A 10.")).count(),
            1000
        );
    }
}
