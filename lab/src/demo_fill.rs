//! The second part of `parapet-lab demo`: the other ways to fill an edge. A zone that is asked for
//! on demand, a zone that a catalog adds, and what every edge says of every zone.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use parapet_lab::{
    Edge, Lab, Named, Network, Output, Reply, Rtype, TsigKey, ZoneSpec, counters::Counters, dns, parapet_binary,
    topologies, zone_text,
};

/// Answers of this zone are asked for when somebody wants them; it is never transferred.
const CACHED: &str = "cached.example";
/// The catalog that lists zones, and the one that is added to it.
const CATALOG: &str = "catalog.example";
const MEMBER: &str = "member.example";
const EDGES: [&str; 3] = ["edge1", "edge2", "edge3"];
/// Everything that is waited for here comes within this time.
const DEADLINE: Duration = Duration::from_secs(20);
/// The origin has nothing to do when nothing came for so long.
const QUIET: Duration = Duration::from_millis(500);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// The port of the edges' API.
const API_PORT: u16 = 8053;
/// It opens nothing but this lab's edges.
const TOKEN: &str = "lab-lab-lab-lab-lab-lab-lab-lab-lab-lab";

/// What runs.
struct Scene {
    _edges: Vec<Edge>,
    origin: Named,
    questions: Counters,
    file: String,
    net: Network,
    _lab: Lab,
}

/// Tells it; gives the lines for the table at the end.
pub(crate) fn tell() -> anyhow::Result<Vec<(String, String)>> {
    println!("\n== Other ways to fill an edge ==");
    println!(
        "Three edges again, now with one network file. {CACHED} is never transferred: it is on demand, a cache that\n\
         looks like an authoritative server. {CATALOG} lists zones (RFC 9432).\n"
    );
    let scene = Scene::build()?;
    let mut table = Vec::new();
    scene.cache(&mut table)?;
    scene.add_a_zone(&mut table)?;
    println!("   client1$ parapet zones --all --config network.toml");
    let shown = scene.parapet(&["zones", "--all", "--config", &scene.file])?;
    for line in shown.stdout.lines() {
        println!("      {line}");
    }
    Ok(table)
}

impl Scene {
    fn build() -> anyhow::Result<Scene> {
        let lab = Lab::new("fill")?;
        let net = lab.build(&topologies::hidden_origin())?;
        let edges = EDGES.iter().flat_map(|edge| net.host(edge).addresses()).collect();
        let questions = Counters::of_arrivals(net.host("origin"), &[("questions", edges)])?;
        let key = TsigKey::generate(&lab, "parapet")?;
        let catalog = "@ 0 SOA invalid. invalid. 1 3600 600 604800 0\n@ 0 NS invalid.\nversion 0 TXT \"2\"\n";
        let mut origin = Named::at(net.host("origin"))
            .key(&key)
            .zone(ZoneSpec::text(CACHED, zone_text::small(CACHED)).dynamic())
            .zone(ZoneSpec::text(CATALOG, catalog).dynamic())
            .zone(ZoneSpec::text(MEMBER, zone_text::small(MEMBER)));
        for edge in EDGES {
            origin = origin.notify(net.host(edge).v4());
        }
        let origin = origin.start()?;
        let text = network_file(&lab, &net, &key)?;
        let path = lab.folder().join("network.toml");
        std::fs::write(&path, &text).context("writing the network file")?;
        let edges: Result<Vec<Edge>, _> =
            EDGES.iter().map(|edge| Edge::at(net.host(edge)).file(&text, edge).start()).collect();
        let file = path.to_string_lossy().into_owned();
        Ok(Scene { _edges: edges?, origin, questions, file, net, _lab: lab })
    }

    /// A miss, a hit, a change at the origin, a purge on all edges.
    fn cache(&self, table: &mut Vec<(String, String)>) -> anyhow::Result<()> {
        let name = format!("www.{CACHED}");
        let mut client = dns::Client::new(self.net.host("client1"), self.at(EDGES[0]))?;
        let miss = ask(&mut client, &name)?;
        let before = self.quiet()?;
        let hit = ask(&mut client, &name)?;
        let asked = self.questions.packets("questions")? - before;
        println!("   client1 asks edge1 for {name}: {} after {}, a miss", address(&miss), ms(miss.elapsed));
        println!("   and again:                           {} after {}, a hit", address(&hit), ms(hit.elapsed));
        println!("   Packets at the origin for the second one: {asked}\n");
        if asked != 0 {
            bail!("the origin was asked {asked} times for what is in the cache");
        }
        let new = "198.51.100.200";
        self.origin.update(CACHED, &format!("update delete {name} A\nupdate add {name} 300 A {new}"))?;
        let cached = ask(&mut client, &name)?;
        println!(
            "   The origin has {new} now; edge1 says {} until the TTL is over, or the name is purged:\n",
            address(&cached)
        );
        println!("   client1$ parapet purge {name} --all --config network.toml");
        let begun = Instant::now();
        let purged = self.parapet(&["purge", &name, "--all", "--config", &self.file])?;
        let took = ms(begun.elapsed());
        for line in purged.stdout.lines() {
            println!("      {line}");
        }
        let fresh = ask(&mut client, &name)?;
        println!("\n   edge1 says {} now.\n", address(&fresh));
        if address(&fresh) != new {
            bail!("a purged name is still answered with {}", address(&fresh));
        }
        table.push((
            "an on-demand answer: the miss, the hit".into(),
            format!("{}, {}", ms(miss.elapsed), ms(hit.elapsed)),
        ));
        table.push(("a name purged on three edges, acknowledged by each, after".into(), took));
        Ok(())
    }

    /// One PTR record in the catalog makes a zone on every edge.
    fn add_a_zone(&self, table: &mut Vec<(String, String)>) -> anyhow::Result<()> {
        println!("   The catalog lists no zone yet. One record is a zone on every edge:\n");
        println!("   origin$ nsupdate … update add one.zones.{CATALOG}. 0 PTR {MEMBER}.");
        let begun = Instant::now();
        self.origin.update(CATALOG, &format!("update add one.zones.{CATALOG}. 0 PTR {MEMBER}."))?;
        let mut last = Duration::ZERO;
        for edge in EDGES {
            let mut client = dns::Client::new(self.net.host("client1"), self.at(edge))?;
            while client.ask_once(MEMBER, Rtype::SOA, LOOK_AGAIN * 50).and_then(|reply| reply.serial()).is_none() {
                if begun.elapsed() > DEADLINE {
                    bail!("{edge} does not answer for {MEMBER}, which the catalog lists");
                }
                std::thread::sleep(LOOK_AGAIN);
            }
            last = begun.elapsed();
            println!("   {edge} answers for {MEMBER} after {}", ms(last));
        }
        println!();
        table.push(("a zone listed in a catalog is answered by every edge after".into(), ms(last)));
        Ok(())
    }

    /// Packets at the origin so far, once the edges have all that they fetch by themselves.
    fn quiet(&self) -> anyhow::Result<u64> {
        let mut last = (self.questions.packets("questions")?, Instant::now());
        Ok(parapet_lab::until("the edges to have the catalog", DEADLINE, || {
            let now = self.questions.packets("questions").ok()?;
            if now != last.0 {
                last = (now, Instant::now());
            }
            (last.1.elapsed() >= QUIET).then_some(now)
        })?)
    }

    fn at(&self, edge: &str) -> SocketAddr {
        SocketAddr::new(self.net.host(edge).v4(), dns::PORT)
    }

    fn parapet(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let program = self.net.host("client1").program(&parapet_binary()?.to_string_lossy());
        Ok(program.args(arguments).run()?.success()?)
    }
}

fn network_file(lab: &Lab, net: &Network, key: &TsigKey) -> anyhow::Result<String> {
    let token = lab.folder().join("token");
    std::fs::write(&token, TOKEN).context("writing the token")?;
    let mut text = format!(
        "[key.parapet]\nkey_file = \"{key}\"\n[origin.bind]\naddresses = [\"{origin}\"]\nkey = \"parapet\"\n\
         [zone.\"{CACHED}\"]\norigins = [\"bind\"]\nmode = \"on-demand\"\n\
         [template.listed]\nmode = \"push\"\n[catalog.\"{CATALOG}\"]\norigins = [\"bind\"]\ntemplate = \"listed\"\n",
        key = key.file.display(),
        origin = net.host("origin").v4(),
    );
    for edge in EDGES {
        let address = net.host(edge).v4();
        let state = lab.folder().join(format!("parapet-{edge}")).join("state");
        text.push_str(&format!(
            "[node.{edge}]\nlisten = [\"{address}:{}\"]\nstate_dir = \"{}\"\n[node.{edge}.api]\n\
             listen = \"{address}:{API_PORT}\"\ntoken_file = \"{}\"\n",
            dns::PORT,
            state.display(),
            token.display(),
        ));
    }
    Ok(text)
}

fn ask(client: &mut dns::Client, name: &str) -> anyhow::Result<Reply> {
    let reply = client.ask(name, Rtype::A)?;
    if reply.rcode != 0 || !reply.aa {
        bail!("{name} was answered with RCODE {}, AA {}", reply.rcode, reply.aa);
    }
    Ok(reply)
}

fn address(reply: &Reply) -> String {
    reply.addresses().first().map_or("nothing".to_owned(), ToString::to_string)
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
