//! The zones of the comparison: made from the texts in `tests/data`, checked and signed with BIND's own tools.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use wire::{NAME_BYTES_MAX, Name, Rtype};

use parapet_lab::Namespace;

use crate::{Question, generator};

/// How a zone is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// Not at all.
    Unsigned,
    /// With NSEC (RFC 4034).
    Nsec,
    /// With NSEC3 (RFC 5155), no extra iterations, no salt (RFC 9276).
    Nsec3,
    /// The same with opt-out.
    Nsec3OptOut,
    /// With salt and iterations, as older zones have them.
    Nsec3Salted,
}

impl Signing {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Signing::Unsigned | Signing::Nsec => &[],
            Signing::Nsec3 => &["-3", "-", "-H", "0"],
            Signing::Nsec3OptOut => &["-3", "-", "-H", "0", "-A"],
            Signing::Nsec3Salted => &["-3", "AABBCCDD", "-H", "5"],
        }
    }
}

/// A zone as a file that every server can load, and what is in it.
#[derive(Debug, Clone)]
pub struct ZoneFile {
    /// The apex as text, with the dot at the end.
    pub origin: String,
    /// In master file format, one record a line, names absolute.
    pub path: PathBuf,
    /// What it has.
    pub contents: Contents,
}

/// What a zone has.
#[derive(Debug, Clone)]
pub struct Contents {
    /// Its apex.
    pub apex: Name,
    /// Each owner with each type it has, in canonical order, signatures left out.
    pub rrsets: Vec<(Name, Rtype)>,
}

impl Contents {
    /// Reads what `named-compilezone` writes and `dig` shows of a transfer: owner, TTL, class, type and data on each line.
    ///
    /// # Panics
    /// When there is no zone in it.
    #[must_use]
    pub fn read(apex: &str, text: &str) -> Contents {
        let rrset = |line: &str| {
            let mut fields = line.split_whitespace();
            let (owner, class, rtype) = (fields.next()?, fields.nth(1)?, fields.next()?);
            (class == "IN").then(|| Some((Name::from_str(owner).ok()?, Rtype::from_str(rtype).ok()?)))?
        };
        let records = text.lines().filter(|line| !line.starts_with(';')).filter_map(rrset);
        let rrsets: BTreeSet<(Name, Rtype)> = records.filter(|(_, rtype)| *rtype != Rtype::RRSIG).collect();
        assert!(rrsets.len() > 1, "no zone {apex} in:\n{text}");
        Contents { apex: Name::from_str(apex).expect("an apex"), rrsets: rrsets.into_iter().collect() }
    }
}

impl ZoneFile {
    /// Checks, signs and reads the zone `text`; files go to `folder`.
    ///
    /// # Panics
    /// When a tool is missing or refuses the zone.
    #[must_use]
    pub fn make(tools: &Namespace, folder: &Path, origin: &str, text: &str, signing: Signing) -> ZoneFile {
        let stem = if origin == "." { "root".to_owned() } else { origin.trim_end_matches('.').to_owned() };
        let source = folder.join(format!("{stem}.source"));
        fs::write(&source, text).expect("writing a zone");
        let signed = match signing {
            Signing::Unsigned => source,
            _ => sign(tools, folder, origin, &source, signing),
        };
        let path = folder.join(format!("{stem}.zone"));
        let compile = [
            "-i", "none", "-k", "ignore", "-n", "ignore", "-m", "ignore", "-M", "ignore", "-r", "ignore", "-S",
            "ignore", "-F", "text", "-s", "full", "-o",
        ];
        let files = [path.to_str(), Some(origin), signed.to_str()].map(|file| file.expect("a path in UTF-8"));
        tools.run("named-compilezone", &[&compile[..], &files[..]].concat()).expect("a zone that the tool takes");
        let text = fs::read_to_string(&path).expect("reading a compiled zone");
        ZoneFile { origin: origin.to_owned(), path, contents: Contents::read(origin, &text) }
    }
}

/// Signatures hold for the years 2020 to 2050, whatever the clock of the test machine says.
fn sign(tools: &Namespace, folder: &Path, origin: &str, source: &Path, signing: Signing) -> PathBuf {
    let keys = folder.join(format!("keys-{}", origin.trim_end_matches('.')));
    fs::create_dir_all(&keys).expect("a folder for keys");
    let keys = keys.to_str().expect("a path in UTF-8");
    for kind in [&["-f", "KSK"][..], &[]] {
        let common = ["-q", "-K", keys, "-a", "ECDSAP256SHA256"];
        tools.run("dnssec-keygen", &[&common[..], kind, &[origin]].concat()).expect("a zone that the tool takes");
    }
    let signed = source.with_extension("signed");
    let files = [signed.to_str(), source.to_str()].map(|file| file.expect("a path in UTF-8"));
    let common =
        ["-q", "-S", "-K", keys, "-o", origin, "-s", "20200101000000", "-e", "20500101000000", "-P", "-d", keys, "-f"];
    tools
        .run("dnssec-signzone", &[signing.arguments(), &common[..], &files[..]].concat())
        .expect("a zone that the tool takes");
    signed
}

/// The zones of the comparison; every one has a child `served` on the same servers.
const RICH: [(&str, Signing); 5] = [
    ("plain.test.", Signing::Unsigned),
    ("nsec.test.", Signing::Nsec),
    ("nsec3.test.", Signing::Nsec3),
    ("optout.test.", Signing::Nsec3OptOut),
    ("salted.test.", Signing::Nsec3Salted),
];

/// The rich zone unsigned and signed in every way, and its children; files go to `folder`.
///
/// # Panics
/// When a tool is missing or refuses a zone.
#[must_use]
pub fn rich_zones(tools: &Namespace, folder: &Path) -> Vec<ZoneFile> {
    let mut zones = Vec::new();
    for (origin, signing) in RICH {
        let make = |origin: &str, text: &str| ZoneFile::make(tools, folder, origin, text, signing);
        zones.push(make(origin, &rich_text(origin, signing)));
        zones.push(make(&format!("served.{origin}"), &served_text(origin)));
    }
    zones
}

/// Questions about those zones, the same for the same seed: about each so many, and a few about each child.
#[must_use]
pub fn rich_questions(zones: &[ZoneFile], count: usize, seed: u64) -> Vec<Question> {
    /// Of a child, which has less to ask for.
    const CHILD_COUNT_MAX: usize = 600;
    let mut questions = Vec::new();
    for (seed, zone) in (seed..).zip(zones) {
        let count = if zone.origin.starts_with("served.") { count.min(CHILD_COUNT_MAX) } else { count };
        questions.extend(generator::questions(&zone.contents, count, seed));
    }
    questions
}

/// `tests/data/rich.zone` under `origin`, with what is too long to write down: a name of 255 octets and RRsets that fill
/// one, many and very many kilobytes.
#[must_use]
pub fn rich_text(origin: &str, signing: Signing) -> String {
    // `dnssec-signzone` takes no name for NSEC3 that has no room for an asterisk below it.
    let octets = match signing {
        Signing::Unsigned | Signing::Nsec => NAME_BYTES_MAX,
        _ => NAME_BYTES_MAX - 2,
    };
    let mut text = format!("$ORIGIN {origin}\n{}", include_str!("../data/rich.zone"));
    let _ = writeln!(text, "{} A 192.0.2.220", long_name(origin, octets));
    for n in 0..100 {
        let _ = writeln!(text, "big-a A 198.51.100.{n}");
    }
    for n in 0..16 {
        let _ = writeln!(text, "some-txt TXT \"{n:02} {}\"", "x".repeat(100));
    }
    for n in 0..60 {
        let _ = writeln!(text, "big-txt TXT \"{n:02} {}\"", "x".repeat(200));
        let _ = writeln!(text, "big-mx MX {n} host{n}.big-mx\nhost{n}.big-mx A 203.0.113.{n}");
    }
    for n in 0..200 {
        let _ = writeln!(text, "huge-txt TXT \"{n:03} {}\"", "y".repeat(240));
    }
    for n in 0..20 {
        let _ =
            writeln!(text, "big-cut NS ns{n}.big-cut\nns{n}.big-cut A 203.0.113.{n}\nns{n}.big-cut AAAA 2001:db8::{n}");
    }
    text
}

/// `tests/data/served.zone`: the child `served` of the zone `parent`.
#[must_use]
fn served_text(parent: &str) -> String {
    format!("$ORIGIN served.{parent}\n{}", include_str!("../data/served.zone").replace("@PARENT@", parent))
}

/// A relative name that has so many octets below `origin`.
fn long_name(origin: &str, octets: usize) -> String {
    let mut left = octets - Name::from_str(origin).expect("an apex").as_bytes().len();
    let mut labels = Vec::new();
    while left > 1 {
        // A label of n octets takes n + 1; no step may leave a single octet over.
        let take = match left {
            65 => 32,
            _ => left.min(64),
        };
        labels.push("m".repeat(take - 1));
        left -= take;
    }
    labels.join(".")
}
