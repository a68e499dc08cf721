//! `parapet-lab demo`: the main job, told step by step with real servers.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::ValueEnum;
use parapet_lab::{LabError, Namespace, Rtype, Updates, dns, parapet_binary, zone_text};

use crate::{
    demo_fill, demo_flood, demo_internet,
    scene::{CLIENTS, EDGES, SIGNED, Scene, ZONE, ZONES},
    subject::Subject,
};

/// A change is to be at every edge within this time.
const CHANGE_DEADLINE: Duration = Duration::from_secs(20);
/// Between two looks at a changed record.
const LOOK_AGAIN: Duration = Duration::from_micros(300);
/// Changes after the first, for a median.
const MORE_CHANGES: u8 = 9;
/// An edge started from disk is to answer within this time.
const RESTART_DEADLINE: Duration = Duration::from_secs(10);

/// The lines of the table at the end.
type Table = Vec<(String, String)>;

/// The parts of the demonstration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Part {
    /// A hidden origin, three edges, changes that arrive in milliseconds.
    Push,
    /// A zone filled on demand, a purge, a catalog.
    Fill,
    /// Six edges with one address in three regions, and what fails there.
    Internet,
    /// A flood beside real clients, without defences and with them.
    Flood,
}

/// The parts by name, with what they show.
pub(crate) const PARTS: [(&str, &str); 4] = [
    ("push", "a hidden origin: zones arrive, a change is at all edges within milliseconds, the origin goes away"),
    ("fill", "on demand, with a purge; a catalog that adds a zone; all edges' status"),
    ("internet", "anycast: who answers which region; edges are killed, frozen, drained, cut off; a timeline picture"),
    ("flood", "random names from random sources, beside real clients: without defences and with them; a picture"),
];

/// The timeline's file in the folder for temporary files.
const PICTURE: &str = "parapet-timeline.svg";
/// The picture of the flood beside it.
const FLOOD_PICTURE: &str = "parapet-flood.svg";

pub(crate) fn run(edges: Subject, parts: &[Part], picture: Option<PathBuf>) -> anyhow::Result<()> {
    let begun = Instant::now();
    let wanted = |part| parts.is_empty() || parts.contains(&part);
    let picture = picture.unwrap_or_else(|| std::env::temp_dir().join(PICTURE));
    let mut table = Table::new();
    if wanted(Part::Push) {
        push(edges, &mut table)?;
    }
    if edges == Subject::Parapet {
        if wanted(Part::Fill) {
            table.extend(demo_fill::tell()?);
        }
        if wanted(Part::Internet) {
            table.extend(demo_internet::tell(&picture)?);
        }
        if wanted(Part::Flood) {
            table.extend(demo_flood::tell(&picture.with_file_name(FLOOD_PICTURE))?);
        }
    }
    println!("\n== In short ({:.0} s) ==\n", begun.elapsed().as_secs_f64());
    for (what, figure) in table {
        println!("  {what:<62}{figure}");
    }
    println!("\nThe networks, the servers and their files are gone now.");
    Ok(())
}

fn push(edges: Subject, table: &mut Table) -> anyhow::Result<()> {
    let mut scene = set_up(edges)?;
    show_arrival(&scene, edges, table)?;
    ask_questions(&scene)?;
    replay_real_questions(&scene, table)?;
    change_a_record(&scene, table)?;
    let before = arrivals(&scene)?;
    lose_the_origin(&mut scene, table)?;
    prove_hidden(&scene, before, table)
}

fn step(title: &str, why: &str) {
    println!("\n== {title} ==");
    if !why.is_empty() {
        println!("{why}");
    }
    println!();
}

fn set_up(edges: Subject) -> anyhow::Result<Scene> {
    step(
        "A hidden origin, three edges, two clients",
        "Each is a network namespace of its own, wired to a router, with IPv4 and IPv6. The origin is a real BIND.\n\
         It is only hidden by nobody knowing it: the router would carry a client's packets to it.",
    );
    let scene = Scene::build(edges)?;
    println!("                        {}", address(&scene, "origin"));
    println!("                             │");
    println!("   clients ────────────── router ────────────── edges");
    for (client, edge) in CLIENTS.iter().map(Some).chain([None]).zip(EDGES) {
        let side = client.map_or(String::new(), |client| address(&scene, client));
        println!("   {side:<45}{}", address(&scene, edge));
    }
    println!("\nThe origin's named.conf has, for each zone, what any secondary needs:\n");
    println!("   zone \"{ZONE}\" {{");
    println!("     type primary; file …;");
    println!("     allow-transfer {{ key parapet; }};   # made by tsig-keygen");
    println!("     allow-update {{ key parapet; }};");
    let targets: Vec<String> = EDGES.iter().map(|edge| format!("{};", scene.net.host(edge).v4())).collect();
    println!("     also-notify {{ {} }};", targets.join(" "));
    println!("   }};");
    if edges == Subject::Parapet {
        println!("\nEach edge is one command; here the first one's:\n");
        println!("   {}", command_line(&scene)?);
    }
    Ok(scene)
}

fn address(scene: &Scene, host: &str) -> String {
    let host = scene.net.host(host);
    format!("{} {} {}", host.name(), host.v4(), host.v6())
}

/// The command line of the first edge, as the kernel has it, a line for each two words.
fn command_line(scene: &Scene) -> anyhow::Result<String> {
    let pid = scene.edges.first().context("there are no edges")?.process().pid();
    let raw = std::fs::read(format!("/proc/{pid}/cmdline")).context("reading an edge's command line")?;
    let folder = scene.lab.folder().to_string_lossy().into_owned();
    let text = String::from_utf8_lossy(&raw).replace('\0', " ").replace(&format!("{folder}/"), "");
    let (program, rest) = text.split_once(" run").unwrap_or((&text, ""));
    let program = program.rsplit('/').next().unwrap_or(program);
    Ok(format!("{program} run{}", rest.trim_end().replace(" --", " \\\n       --")))
}

/// What the first edge says of its zones.
fn ask_the_edge_itself(scene: &Scene) -> anyhow::Result<()> {
    let edge = scene.edges.first().context("there are no edges")?;
    let program = edge.namespace().program(&parapet_binary()?.to_string_lossy()).args(["zones", "--control"]);
    let control = edge.folder().join("state/control.sock");
    let output = program.arg(control.to_string_lossy()).run()?.success()?;
    println!("\n   {}$ parapet zones", EDGES[0]);
    for line in output.stdout.lines() {
        println!("      {line}");
    }
    Ok(())
}

fn show_arrival(scene: &Scene, edges: Subject, table: &mut Table) -> anyhow::Result<()> {
    step(
        "The zones arrive",
        "Each edge asks for each zone by AXFR, signed with the key; time is since the edges were started.",
    );
    for (zone, about) in ZONES {
        println!("   {zone:<16}{about}");
    }
    println!();
    let mut last = Duration::ZERO;
    scene.wait_for_zones(|edge, zone, (time, serial)| {
        last = last.max(time);
        println!("   {edge}   {zone:<16}serial {serial:<12}{:>5.0} ms", time.as_secs_f64() * 1e3);
    })?;
    table.push(("every zone at every edge after".to_owned(), format!("{:.0} ms", last.as_secs_f64() * 1e3)));
    if edges == Subject::Parapet { ask_the_edge_itself(scene) } else { Ok(()) }
}

fn ask_questions(scene: &Scene) -> anyhow::Result<()> {
    step("Clients ask the edges", "With dig, over IPv4, IPv6, UDP and TCP. `aa` says: with authority.");
    let (one, two) = (scene.net.host(CLIENTS[0]), scene.net.host(CLIENTS[1]));
    let [first, second, third] = EDGES.map(|edge| scene.net.host(edge));
    dig(one, &[&format!("@{}", first.v4()), &format!("www.{ZONE}"), "A"], 3)?;
    dig(two, &[&format!("@{}", second.v6()), &format!("no.such.wild.{ZONE}"), "A"], 3)?;
    dig(one, &[&format!("@{}", third.v4()), "+tcp", "com", "NS", "+dnssec"], 4)?;
    dig(two, &[&format!("@{}", first.v6()), &format!("nobody.{SIGNED}"), "A", "+dnssec"], 4)?;
    println!("   A zone transfer, which the edges give to nobody, lest the origin be read off:");
    dig(one, &[&format!("@{}", second.v4()), ZONE, "AXFR"], 3)
}

/// Run dig and show the status, the flags and the first records.
fn dig(client: &Namespace, arguments: &[&str], records_max: usize) -> anyhow::Result<()> {
    println!("   {}$ dig {}", client.name(), arguments.join(" "));
    let output = client.program("dig").args(["+norec", "+nocookie", "+time=2", "+tries=2"]).args(arguments).run()?;
    let interesting =
        |line: &&str| line.contains("status:") || line.contains(";; flags:") || line.starts_with("; Transfer");
    for line in output.stdout.lines().filter(interesting) {
        println!("      {}", line.trim_start_matches([';', ' ']).replace("->>HEADER<<- opcode: QUERY, ", ""));
    }
    let mut records = output.stdout.lines().filter(|line| !line.is_empty() && !line.starts_with(';'));
    for record in records.by_ref().take(records_max) {
        let words: Vec<&str> = record.split_whitespace().collect();
        println!("      {}", shorten(&words.join(" ")));
    }
    match records.count() {
        0 => {}
        more => println!("      … and {more} more records"),
    }
    println!();
    if output.stdout.contains("no servers could be reached") {
        bail!("{}: no answer to dig {}", client.name(), arguments.join(" "));
    }
    Ok(())
}

fn shorten(line: &str) -> String {
    /// What fits on a line of a terminal with its indent.
    const CHARACTERS_MAX: usize = 100;
    match line.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or(line)),
        None => line.to_owned(),
    }
}

fn replay_real_questions(scene: &Scene, table: &mut Table) -> anyhow::Result<()> {
    step(
        "Real questions to the real root zone",
        "49,739 questions that a root server was asked, each once, by dnsperf with DNSSEC on.",
    );
    let file = scene.lab.folder().join("root-questions");
    std::fs::write(&file, zone_text::root_questions()?).context("writing the questions")?;
    let edge = scene.net.host(EDGES[1]).v4().to_string();
    let output = scene
        .net
        .host(CLIENTS[1])
        .program("dnsperf")
        // Four sockets: the answers to 100 questions at once can overflow the receive buffer of one.
        .args(["-s", &edge, "-n", "1", "-c", "4", "-D", "-d"])
        .arg(file.to_string_lossy())
        .deadline(Duration::from_secs(60))
        .run()?
        .success()?;
    let value = |key: &str| {
        let line = output.stdout.lines().find(|line| line.trim_start().starts_with(key));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    for key in
        ["Queries sent", "Queries completed", "Queries lost", "Response codes", "Queries per second", "Average Latency"]
    {
        println!("   {key:<20}{}", value(key));
    }
    table.push(("real questions to the root zone answered".to_owned(), value("Queries completed")));
    Ok(())
}

fn change_a_record(scene: &Scene, table: &mut Table) -> anyhow::Result<()> {
    step(
        "The origin's zone changes",
        "nsupdate at the origin, as ever. named tells the edges with NOTIFY, they fetch the difference by IXFR.",
    );
    println!("   origin$ nsupdate -k parapet.key");
    println!("   > update delete www.{ZONE}. A");
    println!("   > update add www.{ZONE}. 300 A 198.51.100.1");
    println!("   > send\n");
    let updates = scene.origin.open_updates(ZONE)?;
    let mut delays = change(scene, &updates, 1)?;
    for (edge, delay) in EDGES.into_iter().zip(&delays) {
        println!("   {edge} answers 198.51.100.1 after {delay:>7.1} ms");
    }
    for number in 2..2 + MORE_CHANGES {
        delays.extend(change(scene, &updates, number)?);
    }
    delays.sort_by(f64::total_cmp);
    let median = delays.get(delays.len() / 2).copied().unwrap_or_default();
    let worst = delays.last().copied().unwrap_or_default();
    println!("\n   The same {MORE_CHANGES} times more, over all edges: median {median:.1} ms, worst {worst:.1} ms.");
    println!("   Measured from handing the change to nsupdate.");
    table.push((
        "a change by nsupdate at an edge after (median, worst)".to_owned(),
        format!("{median:.1} ms, {worst:.1} ms"),
    ));
    Ok(())
}

/// Give `www` another address; the delay until each edge answers with it, in milliseconds.
fn change(scene: &Scene, updates: &Updates, number: u8) -> anyhow::Result<Vec<f64>> {
    let wanted = std::net::IpAddr::from([198, 51, 100, number]);
    let name = format!("www.{ZONE}");
    let begun = Instant::now();
    updates.send(&format!("update delete {name}. A\nupdate add {name}. 300 A {wanted}"))?;
    scene.at_each_edge(|client, server| {
        let mut client = dns::Client::new(client, SocketAddr::new(server, dns::PORT))?;
        while begun.elapsed() < CHANGE_DEADLINE {
            let reply = client.ask_once(&name, Rtype::A, Duration::from_millis(100));
            if reply.is_some_and(|reply| reply.addresses() == [wanted]) {
                return Ok(begun.elapsed().as_secs_f64() * 1e3);
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        bail!(
            "{server} did not answer {name} with {wanted} within {CHANGE_DEADLINE:?}; nsupdate said: {}",
            updates.output()
        )
    })
}

fn lose_the_origin(scene: &mut Scene, table: &mut Table) -> anyhow::Result<()> {
    step(
        "The origin is gone",
        "named is killed. The edges have the zones, on disk too, and answer until the SOA's EXPIRE is over.",
    );
    scene.origin.kill()?;
    let asked = ask_all(scene)?;
    println!("   {asked} questions to each edge over IPv4 and IPv6: all answered.\n");
    table
        .push(("with the origin down: questions answered, lost".to_owned(), format!("{}, 0", asked * 2 * EDGES.len())));
    println!("   Now {} is killed (SIGKILL) as well, and started again:", EDGES[2]);
    let client = scene.net.host(CLIENTS[0]).clone();
    let edge = scene.edges.last_mut().context("there are no edges")?;
    edge.kill()?;
    let begun = Instant::now();
    edge.start_again()?;
    dns::wait_for_serial(&client, edge.v4(), ZONE, 1, RESTART_DEADLINE)?;
    let first = begun.elapsed().as_secs_f64() * 1e3;
    for (zone, _) in ZONES {
        dns::wait_for_serial(&client, edge.v4(), zone, 1, RESTART_DEADLINE)?;
    }
    let all = begun.elapsed().as_secs_f64() * 1e3;
    println!("   it answers from its disk after {first:.0} ms, for all zones after {all:.0} ms.");
    table.push(("an edge killed and started without an origin answers after".to_owned(), format!("{first:.0} ms")));
    Ok(())
}

/// A few questions to every edge over both protocols; an unanswered one is an error. How many were asked of each.
fn ask_all(scene: &Scene) -> anyhow::Result<usize> {
    let questions = [(ZONE, Rtype::SOA), ("mail.example.com", Rtype::A), (SIGNED, Rtype::DNSKEY), ("org", Rtype::NS)];
    for edge in EDGES {
        let host = scene.net.host(edge);
        for server in [host.v4(), host.v6()] {
            for (name, rtype) in questions {
                let reply = dns::ask(scene.net.host(CLIENTS[1]), server, name, rtype)
                    .with_context(|| format!("{edge} while the origin is down"))?;
                if reply.rcode != 0 {
                    bail!("{edge} answered {name} with RCODE {} while the origin is down", reply.rcode);
                }
            }
        }
    }
    Ok(questions.len())
}

/// Packets at the origin from clients and from edges.
fn arrivals(scene: &Scene) -> Result<(u64, u64), LabError> {
    Ok((scene.arrivals.packets("clients")?, scene.arrivals.packets("edges")?))
}

fn prove_hidden(scene: &Scene, before: (u64, u64), table: &mut Table) -> anyhow::Result<()> {
    step(
        "Did a client reach the origin?",
        "nftables has counted every packet that came to the origin since before it was started, by where it came from.",
    );
    let (clients, edges) = arrivals(scene)?;
    println!("   from the edges    {edges:>6} packets ({} before the origin was killed)", before.1);
    println!("   from the clients  {clients:>6} packets");
    if clients != 0 {
        bail!("{clients} packets of clients reached the origin");
    }
    let origin = scene.net.host("origin").v4();
    let mut stray = dns::Client::new(scene.net.host(CLIENTS[0]), SocketAddr::new(origin, dns::PORT))?;
    let _ = stray.ask_once(ZONE, Rtype::SOA, Duration::from_millis(100));
    let (seen, _) = arrivals(scene)?;
    println!("\n   And the counter does count: after one packet sent there on purpose it says {seen}.");
    if seen == 0 {
        bail!("the counter does not count");
    }
    table.push(("packets that reached the origin from edges, from clients".to_owned(), format!("{edges}, {clients}")));
    Ok(())
}
