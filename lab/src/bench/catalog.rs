//! `bench catalog`: a `named` with very many small zones and a catalog zone that lists them (RFC 9432), and a secondary
//! that has nothing yet: how long until it answers for all of them, and what it takes.
//!
//! Knot reads the catalog as Parapet does. NSD 4.6 does not know catalogs: it has the same zones in its own list, by a
//! pattern, and so knows them from its first moment.

use std::{
    fmt::Write as _,
    net::{IpAddr, UdpSocket},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use parapet_lab::{Edge, Knot, Lab, Named, Namespace, Network, Nsd, TsigKey, ZoneSpec, dns};

use super::{
    Options, progress,
    report::{Report, Samples},
    rig::topology,
    transfer::steady_memory,
};
use crate::subject::{Running, Subject};

/// The catalog.
const CATALOG: &str = "bench.catalog";
/// The origin reads its zones within this time.
const ORIGIN_DEADLINE: Duration = Duration::from_secs(120);
/// A subject that does not serve all zones within this time has what it has.
const LOADED_DEADLINE: Duration = Duration::from_secs(75);
/// Questions asked at once.
const WINDOW: usize = 64;
/// Answers that are not there after this time count as lost, and are asked for again.
const ANSWERS_WAIT: Duration = Duration::from_millis(40);
/// Between two looks while most zones are missing, so that asking costs the subject little.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// A member zone: of the size that most zones have.
const MEMBER: &str = "$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 604800 300\n@ NS ns1\n@ NS ns2\n@ MX 10 mail\n\
    @ TXT \"v=spf1 mx -all\"\n@ A 192.0.2.80\nns1 A 192.0.2.1\nns2 A 192.0.2.2\nmail A 192.0.2.25\nwww CNAME @\n";

fn member(number: usize) -> String {
    format!("z{number:06}.bench.test")
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let members = options.members as usize;
    let case = format!("{members} zones");
    let mut samples = Samples::new("catalog", options.subjects());
    progress("building the network; named reads its zones");
    let rig = Rig::build(members)?;
    for repeat in 1..=options.repeats() {
        for &subject in options.subjects() {
            progress(&format!("repeat {repeat} of {}: {}", options.repeats(), subject.name()));
            let name = subject.name();
            let _ = std::fs::remove_dir_all(rig.lab.folder().join(format!("{name}-server")));
            let begun = Instant::now();
            let server = rig.start(subject)?;
            let Loaded { took, missing } = wait_until_loaded(rig.net.host("client"), server.v4(), members, begun)?;
            let cpu = server.process().cpu_time();
            let resident = steady_memory(server.process()) as f64;
            let on_disk = files(server.folder());
            server.stop()?;
            if missing > 0 {
                progress(&format!("{name} still lacks {missing} zones after {took:?}"));
            }
            samples.add(name, &case, "time_to_all_served", took.as_secs_f64(), "s");
            samples.add(name, &case, "missing", missing as f64, "zones");
            samples.add(name, &case, "cpu", cpu.as_secs_f64(), "s");
            samples.add(name, &case, "resident", resident / 1e6, "MB");
            samples.add(name, &case, "resident_per_zone", resident / members as f64, "B");
            samples.add(name, &case, "files", on_disk as f64, "files");
        }
    }
    Ok(samples.finish())
}

/// The network, with the origin serving all zones.
struct Rig {
    members: usize,
    net: Network,
    key: TsigKey,
    origin: Named,
    lab: Lab,
}

impl Rig {
    fn build(members: usize) -> anyhow::Result<Rig> {
        let lab = Lab::new("bench-catalog")?;
        let net = lab.build(&topology())?;
        let key = TsigKey::generate(&lab, "bench")?;
        let file = lab.folder().join("member.zone");
        std::fs::write(&file, MEMBER).context("writing the members' file")?;
        let mut catalog = format!(
            "$ORIGIN {CATALOG}.\n$TTL 0\n@ SOA invalid. invalid. 1 3600 600 604800 0\n@ NS invalid.\nversion TXT \"2\"\n"
        );
        let mut origin = Named::at(net.host("origin")).key(&key).without_waiting();
        for number in 0..members {
            let _ = writeln!(catalog, "m{number:06}.zones PTR {}.", member(number));
            origin = origin.zone(ZoneSpec::file(&member(number), &file));
        }
        let origin = origin.zone(ZoneSpec::text(CATALOG, catalog)).start()?;
        for zone in [CATALOG, &member(members - 1), &member(0)] {
            origin.wait_for_zone(zone, 1, ORIGIN_DEADLINE)?;
        }
        Ok(Rig { members, net, key, origin, lab })
    }

    fn start(&self, subject: Subject) -> anyhow::Result<Running> {
        let (host, origin, key) = (self.net.host("server"), self.origin.v4(), &self.key);
        Ok(match subject {
            Subject::Parapet => {
                let edge = Edge::at(host).origin(origin).key(key).args(&["--catalog", CATALOG]);
                Box::new(edge.without_waiting().start()?)
            }
            Subject::Knot => Box::new(Knot::at(host).origin(origin).key(key).catalog(CATALOG).start()?),
            Subject::Nsd => {
                let nsd = Nsd::at(host).option("xfrd-tcp-max: 128").option("minimal-responses: yes");
                Box::new(nsd.origin(origin).key(key).listed((0..self.members).map(member)).start()?)
            }
            _ => {
                bail!("{} is not measured here", subject.name())
            }
        })
    }
}

/// How a subject got on.
struct Loaded {
    took: Duration,
    missing: usize,
}

/// Asks for zones that have not been seen yet, here and there among them, until all have been.
fn wait_until_loaded(from: &Namespace, server: IpAddr, members: usize, begun: Instant) -> anyhow::Result<Loaded> {
    let socket = from.enter(|| UdpSocket::bind("0.0.0.0:0"))?.context("opening a socket")?;
    socket.connect((server, dns::PORT))?;
    socket.set_read_timeout(Some(ANSWERS_WAIT))?;
    let mut missing: Vec<usize> = (0..members).collect();
    // Any odd start will do; what matters is that looks fall here and there.
    let mut random = 0x9e37_79b9_u64;
    while !missing.is_empty() && begun.elapsed() < LOADED_DEADLINE {
        let window = WINDOW.min(missing.len());
        for place in 0..window {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let other = place + (random >> 33) as usize % (missing.len() - place);
            missing.swap(place, other);
        }
        let seen = ask(&socket, &missing[..window])?;
        let mut place = 0;
        let before = missing.len();
        missing.retain(|_| {
            place += 1;
            !seen.get(place - 1).is_some_and(|seen| *seen)
        });
        if before - missing.len() < window / 2 {
            std::thread::sleep(LOOK_EVERY);
        }
    }
    Ok(Loaded { took: begun.elapsed(), missing: missing.len() })
}

/// Asks for the SOA of these zones at once; which of them were answered with authority.
fn ask(socket: &UdpSocket, zones: &[usize]) -> anyhow::Result<Vec<bool>> {
    let mut seen = vec![false; zones.len()];
    for (id, &zone) in zones.iter().enumerate() {
        let query = dns::encode_query(id as u16, &member(zone), dns::Rtype::SOA).unwrap_or_default();
        // Nobody may listen yet.
        let _ = socket.send(&query);
    }
    let mut buffer = [0; 2048];
    for _ in zones {
        match socket.recv(&mut buffer) {
            Ok(length) if length > 12 => {
                let [high, low, flags, rcode, _, _, _, answers, ..] = buffer;
                let good = flags & 0x84 == 0x84 && rcode & 0xf == 0 && answers > 0;
                if let Some(place) = seen.get_mut(usize::from(u16::from_be_bytes([high, low]))) {
                    *place |= good;
                }
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                std::thread::sleep(LOOK_EVERY);
                break;
            }
            // Lost, or late: the id alone would not tell for which look it is, so what is late is thrown away.
            Err(_) => {
                socket.set_nonblocking(true).context("the socket")?;
                while socket.recv(&mut buffer).is_ok() {}
                socket.set_nonblocking(false).context("the socket")?;
                break;
            }
        }
    }
    Ok(seen)
}

/// Files under a folder.
fn files(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files(&entry.path()),
        Ok(_) => 1,
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}
