//! `parapet-lab`: the command line over the lab: demonstrations, topologies to play in, benchmarks.

mod bench;
mod demo;
mod demo_fill;
mod demo_flood;
mod demo_internet;
mod flood;
mod scene;
mod subject;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use subject::Subject;

/// Networks in network namespaces on this machine, with real name servers in them.
///
/// Every command builds what it needs, needs root, touches nothing of the host's own network, and leaves nothing behind
/// when it ends, be it by Ctrl-C or worse. The parapet binary is looked for beside this one; PARAPET_BIN names another.
/// PARAPET_LAB_KEEP=1 keeps the folder of configurations and logs (under /tmp/parapet-lab) for reading.
#[derive(Parser)]
#[command(name = "parapet-lab", version, after_long_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  parapet-lab demo                          the whole idea in about two minutes
  parapet-lab demo --part internet          anycast alone: edges fail, and nobody notices for long
  parapet-lab up hidden-origin              an origin, three edges, two clients, until Ctrl-C
  parapet-lab up internet                   five sites, three providers, clients in three regions
  parapet-lab attack random-names           a flood beside real clients: who is answered, second by second
  parapet-lab attack reflection --peer nsd --rate 100000
                                            the same of a peer with its response-rate limiting on
  parapet-lab attack random-names --lanes kernel --rate 600000
                                            more of it, answered and dropped before the network stack
  parapet-lab bench answers                 CPU per answer and share answered, beside NSD and Knot
  parapet-lab bench answers --lane kernel   the same by XDP, beside Knot with XDP and an echo, up to 1,000,000/s
  parapet-lab bench change --json           the same figures for machines
  parapet-lab bench transfer --subjects nsd,knot --records 100000
                                            only the peers, with a smaller zone";

#[derive(Subcommand)]
enum Command {
    /// List what there is: parts of the demonstration, topologies, scenarios, benchmarks.
    List,
    /// Show the main job: a hidden BIND origin, and edges that answer for it.
    ///
    /// Builds the topology hidden-origin, shows the zones arriving at the edges, asks real questions, changes a zone
    /// with nsupdate and times the change at each edge, stops the origin, kills an edge, and proves from packet
    /// counters that no client packet reached the origin. Then a second network: a zone that is filled on demand and
    /// purged, a catalog that adds a zone, and what all edges say of all zones. Then a small internet: six edges
    /// announce one address, one after the other is killed, frozen, drained and cut off, and a timeline shows what each
    /// region was answered. At last a flood beside real clients, without defences and with them. Explains each step and
    /// ends with a table; fails if something did not go as it should.
    Demo {
        /// What runs at the edges of the first part; a peer in place of Parapet shows what is Parapet's and what is
        /// DNS's. The other parts are shown with Parapet alone.
        #[arg(long, default_value = "parapet")]
        edges: Subject,
        /// Only these parts [default: all].
        #[arg(long = "part", value_delimiter = ',')]
        parts: Vec<demo::Part>,
        /// Where the timeline is written, as SVG, with parapet-flood.svg beside it [default: parapet-timeline.svg in the
        /// folder for temporary files].
        #[arg(long)]
        picture: Option<std::path::PathBuf>,
    },
    /// Build a topology with its servers, say how to step into it, and keep it until Ctrl-C.
    Up {
        /// The topology's name, from `parapet-lab list`.
        name: String,
    },
    /// Is this server's copy of a zone the origin's? The check that anycast-healthchecker runs in `bench failover`.
    #[command(hide = true)]
    Check {
        /// The server.
        server: std::net::IpAddr,
        /// The origin.
        origin: std::net::IpAddr,
        /// The zone.
        zone: String,
    },
    /// Attack a server beside real clients, and see what these are answered.
    Attack(flood::Options),
    /// Measure, beside peers in the same run; prints a table with ratios.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Check { server, origin, zone } = &cli.command {
        return if check(*server, *origin, zone) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let result = parapet_lab::clean_up_on_signals().map_err(anyhow::Error::from).and_then(|()| match cli.command {
        Command::List => {
            list();
            Ok(())
        }
        Command::Demo { edges, parts, picture } => demo::run(edges, &parts, picture),
        Command::Up { name } => up::run(&name),
        Command::Attack(options) => flood::attack(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Check { .. } => Ok(()),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if parapet_lab::is_ending() => loop {
            std::thread::park();
        },
        Err(error) => {
            eprintln!("parapet-lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Both answer, and with the same serial. One question each: who checks decides how often that must fail.
fn check(server: std::net::IpAddr, origin: std::net::IpAddr, zone: &str) -> bool {
    let serial = |address| parapet_lab::dns::serial_here(address, zone);
    serial(server).is_some_and(|own| serial(origin) == Some(own))
}

fn list() {
    let describe = |name: &str, about: &str| println!("  {name:<17} {about}");
    println!("demonstration (parapet-lab demo, or a part of it by --part NAME):");
    for (name, about) in demo::PARTS {
        describe(name, about);
    }
    println!("\ntopologies (parapet-lab up NAME):");
    for topology in parapet_lab::topologies::all() {
        describe(&topology.name, &topology.about);
    }
    describe(parapet_lab::internet::NAME, parapet_lab::internet::ABOUT);
    println!("\nscenarios (what befalls an edge, in demo and bench failover):");
    for fault in parapet_lab::internet::Fault::ALL {
        describe(&fault.to_string(), fault.about());
    }
    println!("\nattacks (parapet-lab attack NAME):");
    for attack in parapet_lab::attack::Attack::ALL {
        describe(attack.name(), attack.about());
    }
    println!("\nbenchmarks (parapet-lab bench NAME):");
    for (name, about) in bench::ALL {
        describe(name, about);
    }
}
