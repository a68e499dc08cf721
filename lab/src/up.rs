//! `parapet-lab up`: a topology with its servers, to play in until Ctrl-C.

use std::time::Duration;

use anyhow::bail;
use parapet_lab::{
    Lab, Namespace,
    internet::{self, Fleet, Internet, Region},
    parapet_binary, topologies,
};

use crate::{
    scene::{Scene, ZONE},
    subject::Subject,
};

/// Every edge is to announce within this time.
const ANNOUNCED_DEADLINE: Duration = Duration::from_secs(60);

pub(crate) fn run(name: &str) -> anyhow::Result<()> {
    if name == internet::NAME {
        return up_internet();
    }
    let Some(topology) = topologies::find(name) else {
        let mut names: Vec<String> = topologies::all().into_iter().map(|topology| topology.name).collect();
        names.push(internet::NAME.to_owned());
        bail!("there is no topology {name:?}; there are: {}", names.join(", "));
    };
    if topology.name == topologies::hidden_origin().name {
        let scene = Scene::build(Subject::Parapet)?;
        scene.wait_for_zones(|_, _, _| {})?;
        hosts(scene.net.hosts());
        let edge = scene.net.host("edge1");
        println!("\nTry, in another terminal as root:");
        println!("  {} dig @{} www.{ZONE} +norec", step_into(scene.net.host("client1")), edge.v4());
        println!("  {} dig @{} . NS +dnssec +norec", step_into(scene.net.host("client2")), edge.v6());
        println!(
            "  printf 'server {}\\nzone {ZONE}.\\nupdate add new.{ZONE}. 60 A 192.0.2.7\\nsend\\n' | {} nsupdate -k {}",
            scene.origin.v4(),
            step_into(scene.net.host("origin")),
            scene.key.file.display(),
        );
        let control = scene.lab.folder().join("parapet-edge1/state/control.sock");
        println!("  {} zones --control {}", parapet_binary()?.display(), control.display());
        println!("\nConfigurations and outputs: {}", scene.lab.folder().display());
        wait_for_the_end();
    }
    let lab = Lab::new(name)?;
    let net = lab.build(&topology)?;
    hosts(net.hosts());
    wait_for_the_end()
}

/// The small internet with its fleet.
fn up_internet() -> anyhow::Result<()> {
    let lab = Lab::new(internet::NAME)?;
    let mut net = Internet::build(&lab)?;
    net.start_routers()?;
    let fleet = Fleet::of(&lab, &net).start()?;
    for edge in net.edges() {
        net.wait_for_route(&edge.name, true, ANNOUNCED_DEADLINE)?;
    }
    println!("{}", net.map());
    hosts(net.hosts().iter());
    let [v4, v6] = net.service();
    let (client, parapet) = (&net.client(Region::Europe).namespace, parapet_binary()?);
    println!("\nThe service is {v4} and {v6}. Try, in another terminal as root:");
    println!("  {} dig @{v4} {} SOA +nsid +norec", step_into(client), internet::ZONE);
    println!("  {} dig @{v6} {} SOA +nsid +norec", step_into(&net.client(Region::Asia).namespace), internet::ZONE);
    println!("  {} anycast --control {}", parapet.display(), fleet.edge("ams-1").control().display());
    println!("  {} drain --control {}   # and undrain", parapet.display(), fleet.edge("ams-1").control().display());
    println!("  kill -STOP -{}   # freezes sin-1; -CONT thaws it", fleet.edge("sin-1").process().pid());
    println!("  birdc -s {}/bird.ctl show route all for {v4}", net.router("ams").folder().display());
    println!("\nThe network file of all edges: {}", fleet.file().display());
    println!("Configurations and outputs: {}", lab.folder().display());
    wait_for_the_end()
}

fn hosts<'h>(hosts: impl Iterator<Item = &'h Namespace>) {
    println!("{:<12}{:<13}{:<20}step into it with", "host", "IPv4", "IPv6");
    for host in hosts {
        println!("{:<12}{:<13}{:<20}{} bash", host.name(), host.v4(), host.v6(), step_into(host));
    }
}

fn step_into(host: &Namespace) -> String {
    format!("nsenter --net={}", host.path().display())
}

/// Ctrl-C ends the process by way of the lab's clean-up; nothing comes after this.
fn wait_for_the_end() -> ! {
    println!("\nCtrl-C takes everything down.");
    loop {
        std::thread::park();
    }
}
