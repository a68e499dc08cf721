//! What rate of an attack one core sends, to a server that only throws away what it gets: `attack_rate [ATTACK] [RATE…]
//! [kernel]`.
//!
//! The first core sends, and has the receiving host's network stack to run as well, as it has in the benchmarks; the second
//! reads the packets. With `kernel` the receiving host's core does that, as in the benchmarks of the kernel lane.

use std::{
    net::{Ipv4Addr, UdpSocket},
    process::exit,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use clap::ValueEnum;
use parapet_lab::{
    Lab, Rank, Rtype,
    attack::{Arrivals, Attack, Facts, Pace, Target},
    topologies,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "random-names".to_owned());
    let Ok(attack) = Attack::from_str(&name, false) else {
        eprintln!("no attack is called {name}");
        exit(2);
    };
    let (lanes, rates): (Vec<String>, Vec<String>) = arguments.partition(|argument| argument == "kernel");
    let mut rates: Vec<u32> = rates.iter().map(|rate| rate.parse()).collect::<Result<_, _>>()?;
    if rates.is_empty() {
        rates = vec![50_000, 100_000, 200_000, 400_000, 1_000_000];
    }
    let lab = Lab::new("attack-rate")?;
    let net = lab.build(&topologies::pair())?;
    let (server, client) = (net.host("server"), net.host("client"));
    if !lanes.is_empty() {
        client.take_xdp("server")?;
        client.receive_on("server", 0, Rank::Interrupt)?;
        server.receive_on("client", 1, Rank::Measured)?;
    }
    let address = Ipv4Addr::new(10, 1, 0, 1);
    let facts = Facts {
        zone: "example.com".into(),
        names: (0..10_000).map(|number| format!("n{number:06}.example.com")).collect(),
        suffix: "example.com".into(),
        signed: vec!["signed.example".into()],
        large: vec![("large.example.com".into(), Rtype::TXT)],
        resolvers: (0..2000_u32).map(|host| Ipv4Addr::from(0xc612_0000 + host)).collect(),
    };
    let target = Target::across(client, "server", server, "client", address, facts)?;
    let arrivals = Arrivals::of(&target)?;
    let socket = server.enter(|| UdpSocket::bind((address, 53)))??;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let (read, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| -> Result<(), Box<dyn std::error::Error>> {
        scope.spawn(|| {
            let mut buffer = [0; 2048];
            while !stop.load(Ordering::Relaxed) {
                if socket.recv(&mut buffer).is_ok() {
                    read.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        for rate_per_s in rates {
            let lasts = Some(Duration::from_secs(3));
            let before = server.interface_packets("client")?.0;
            let sent = attack.start(&target, &Pace { rate_per_s, lasts, seed: 1, core: Some(0) })?.wait()?;
            let arrived = server.interface_packets("client")?.0 - before;
            println!(
                "{attack} {rate_per_s}/s: {} of {} sent in time ({:.1} %), {:.2} µs of CPU each; {arrived} arrived, {} read so far; \
                 by second {:?}",
                sent.total().packets,
                sent.total().packets + sent.total().late,
                100.0 * sent.kept(),
                sent.cpu.as_secs_f64() * 1e6 / sent.total().packets.max(1) as f64,
                read.load(Ordering::Relaxed),
                sent.seconds.iter().map(|second| second.packets).collect::<Vec<_>>(),
            );
        }
        stop.store(true, Ordering::Relaxed);
        Ok(())
    })?;
    println!("came back: {:?}", arrivals.read()?);
    Ok(())
}
