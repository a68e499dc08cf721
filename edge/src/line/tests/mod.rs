//! Packet in, packet out: what a test asks is a line of text, and so is what it expects.

mod bytes;
mod filters;
mod frame;
mod on_demand;
mod promote;
mod sections;
mod signed;
mod zone;

use std::{
    cell::Cell,
    fmt::Write,
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use wire::{Class, Edns, Flags, Message, Name, Opcode, Rtype, Section, Writer, edns::option};

use crate::{
    Counters, NotifyHandler, NotifyOutcome, Settings, Stats, TransferHandler, Transport,
    line::{Client, Context, OnDemand, Promoter, respond},
};

/// 2019-06-05, the day of RFC 9018's examples.
pub(super) const NOW_S: u32 = 1_559_731_985;
pub(super) const PEER: &str = "198.51.100.100:1053";

/// A query's bytes from its text: `NAME TYPE` and then any of `CH` (a class), `rd`, `cd`, `ad`, `opcode=N`, `tcp`
/// (read by [`Case`]), `edns`, `do`, `size=N`, `version=N`, `nsid`, `keepalive`, `cookie=HEX`, `option=CODE:HEX`,
/// `noquestion`.
pub(super) fn query(text: &str) -> Vec<u8> {
    let mut words = text.split_whitespace();
    let name: Name = words.next().unwrap().parse().unwrap();
    let rtype: Rtype = words.next().unwrap().parse().unwrap();
    let (mut class, mut flags, mut question) = (Class::IN, Flags::default(), true);
    let (mut edns, mut size, mut version, mut dnssec_ok) = (false, 1232, 0, false);
    let mut options: Vec<(u16, Vec<u8>)> = Vec::new();
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let on_edns = matches!(key, "edns" | "do" | "size" | "version" | "nsid" | "keepalive" | "cookie" | "option");
        edns |= on_edns;
        match key {
            "rd" => flags = flags.with_rd(true),
            "cd" => flags = flags.with_cd(true),
            "ad" => flags = flags.with_ad(true),
            "opcode" => flags = flags.with_opcode(Opcode(value.parse().unwrap())),
            "noquestion" => question = false,
            "tcp" | "edns" => {}
            "do" => dnssec_ok = true,
            "size" => size = value.parse().unwrap(),
            "version" => version = value.parse().unwrap(),
            "nsid" => options.push((option::NSID, Vec::new())),
            "keepalive" => options.push((option::TCP_KEEPALIVE, unhex(value))),
            "cookie" => options.push((option::COOKIE, unhex(value))),
            "option" => {
                let (code, data) = value.split_once(':').unwrap();
                options.push((code.parse().unwrap(), unhex(data)));
            }
            class_text => class = class_text.parse().unwrap(),
        }
    }
    let mut buffer = [0; 4096];
    let mut writer = Writer::new(&mut buffer, 4096).unwrap();
    writer.set_id(0x1234);
    writer.set_flags(flags);
    if question {
        writer.question(name.as_ref(), rtype, class).unwrap();
    }
    if edns {
        let write = |writer: &mut wire::OptionWriter<'_, '_>| {
            options.iter().try_for_each(|(code, data)| writer.option(*code, data))
        };
        writer.opt(size, 0, version, dnssec_ok, write).unwrap();
    }
    let length = writer.finish();
    buffer[..length].to_vec()
}

pub(super) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text}");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An answer as text, one line each for the header, the question, each record (`=` answer, `!` authority,
/// `+` additional) and OPT.
pub(super) fn render(answer: &[u8]) -> Vec<String> {
    let message = Message::parse(answer).expect("a well-formed answer");
    let header = message.header;
    assert_eq!(header.id, 0x1234);
    let flags = header.flags;
    let mut rcode = flags.rcode();
    let mut rest = Vec::new();
    for question in message.questions() {
        let (name, rtype, class) = question;
        rest.push(format!("? {name} {class} {rtype}"));
    }
    for record in message.records() {
        let record = record.expect("a record");
        if record.rtype == Rtype::OPT {
            let edns = Edns::from_record(record.class.0, record.ttl, record.rdata()).expect("OPT");
            rcode.0 |= u16::from(edns.extended_rcode) << 4;
            let mut text = format!("opt {}", edns.udp_size);
            if edns.version != 0 {
                let _ = write!(text, " version={}", edns.version);
            }
            if edns.dnssec_ok {
                text += " do";
            }
            for (code, data) in edns.options() {
                let name = match code {
                    option::NSID => "nsid",
                    option::COOKIE => "cookie",
                    option::TCP_KEEPALIVE => "keepalive",
                    option::EXTENDED_ERROR => "ede",
                    _ => panic!("an unknown option {code}"),
                };
                let _ = write!(text, " {name}={}", hex(data));
            }
            rest.push(text);
            continue;
        }
        let sign = match record.section {
            Section::Answer => '=',
            Section::Authority => '!',
            Section::Additional => '+',
        };
        let owner = record.owner().expect("an owner");
        let rdata = zone::rdata_text(&record);
        let class = if record.class == Class::IN { String::new() } else { format!(" {}", record.class) };
        rest.push(format!("{sign} {owner}{class} {} {} {rdata}", record.ttl, record.rtype).trim_end().to_owned());
    }
    let mut first = rcode.to_string();
    for (on, name) in [
        (flags.qr(), "qr"),
        (flags.aa(), "aa"),
        (flags.tc(), "tc"),
        (flags.rd(), "rd"),
        (flags.ra(), "ra"),
        (flags.ad(), "ad"),
        (flags.cd(), "cd"),
    ] {
        if on {
            first = first + " " + name;
        }
    }
    if flags.opcode() != Opcode::QUERY {
        first = format!("{first} {}", flags.opcode());
    }
    rest.insert(0, first);
    rest
}

/// Reads an answer to the end, whatever is in it.
pub(super) fn render_any(answer: &[u8]) {
    let message = Message::parse(answer).expect("a well-formed answer");
    assert_eq!(message.questions().count(), usize::from(message.header.qdcount));
    let records: Vec<_> = message.records().map(|record| record.expect("a record")).collect();
    let expected = message.header.ancount + message.header.nscount + message.header.arcount;
    assert_eq!(records.len(), usize::from(expected));
    assert!(records.iter().all(|record| record.owner().is_ok()));
}

/// Takes NOTIFY from 192.0.2.1, refuses it from others, says nothing to 192.0.2.99.
pub(super) struct Notify;

impl NotifyHandler for Notify {
    fn handle(&self, message: &[u8], peer: SocketAddr, out: &mut [u8]) -> NotifyOutcome {
        match peer.ip().to_string().as_str() {
            "192.0.2.1" => {
                out[..message.len()].copy_from_slice(message);
                out[2] |= 0x80;
                NotifyOutcome::Answer(message.len())
            }
            "192.0.2.99" => NotifyOutcome::Ignore,
            _ => NotifyOutcome::Refuse,
        }
    }
}

/// What the line is given besides a message.
pub(super) struct Case {
    pub(super) zones: zones::Zones,
    pub(super) settings: Settings,
    pub(super) peer: SocketAddr,
    pub(super) now_s: u32,
    pub(super) counters: Counters,
    pub(super) transfers: Option<Box<dyn TransferHandler>>,
    pub(super) lane: ::filters::Lane,
    /// The filters' time; it stands still.
    pub(super) filter_us: Cell<u64>,
    on_demand: Option<on_demand::Rig>,
    /// Where answers are put for the kernel lane.
    answers: Option<crate::kernel::Answers>,
}

/// Filters that look at nothing, for all tests that are not about them.
static NO_FILTERS: LazyLock<Arc<::filters::Filters>> = LazyLock::new(|| {
    let defences = config::Defences { mode: config::DefenceMode::Off, ..config::Defences::default() };
    Arc::new(::filters::Filters::new(&defences, [1, 2]))
});

impl Case {
    pub(super) fn new() -> Self {
        let (settings, peer) = (Settings::default(), PEER.parse().unwrap());
        let (now_s, counters, transfers) = (NOW_S, Counters::default(), None);
        let (zones, lane) = (zones::Zones::new(), NO_FILTERS.lane());
        let filter_us = Cell::new(86_400_000_000);
        Case { zones, settings, peer, now_s, counters, transfers, lane, filter_us, on_demand: None, answers: None }
    }

    pub(super) fn respond(&self, message: &[u8], transport: Transport) -> Vec<u8> {
        let client = Client { peer: self.peer, transport, idle: Duration::from_secs(10) };
        let room = match transport {
            Transport::Udp => usize::from(self.settings.udp_payload_bytes_max),
            Transport::Tcp => wire::MESSAGE_BYTES_MAX,
        };
        let mut out = vec![0xee; room];
        let length = self.with_context(|context| respond(message, &client, context, &mut out));
        out.truncate(length);
        out
    }

    /// Calls with all that an answer depends on.
    pub(super) fn with_context<R>(&self, call: impl FnOnce(&Context<'_>) -> R) -> R {
        let (epoch, zones) = (self.zones.epoch(), self.zones.load());
        // The clocks of a test stand still: any moment that is asked for is now.
        let filter_time = |_| ::filters::Now::from_us(self.filter_us.get());
        let gate = self.lane.gate(::filters::Now::from_us(self.filter_us.get()));
        let with = |on_demand: Option<OnDemand<'_>>| {
            call(&Context {
                zones: &zones,
                settings: &self.settings,
                notify: &Notify,
                transfers: self.transfers.as_deref(),
                on_demand,
                gate: &gate,
                promoter: self.answers.as_ref().map(|answers| Promoter {
                    answers,
                    epoch,
                    now: ::filters::Now::from_us(self.filter_us.get()),
                    filter_time: &filter_time,
                }),
                counters: &self.counters,
                now_s: self.now_s,
            })
        };
        match &self.on_demand {
            Some(rig) => rig.with_view(|view| with(Some(view))),
            None => with(None),
        }
    }

    /// Asks as `text` says and compares the answer with the lines of `expected`.
    pub(super) fn check(&self, text: &str, expected: &str) {
        let transport = if text.contains(" tcp") { Transport::Tcp } else { Transport::Udp };
        let answer = self.respond(&query(text), transport);
        let lines: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(render(&answer), lines, "\nasked: {text}");
    }

    pub(super) fn stats(&self) -> Stats {
        Stats::sum([&self.counters])
    }
}
