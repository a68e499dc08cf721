//! `parapet-lab up`: a topology with its servers, to play in until Ctrl-C.

use anyhow::bail;
use parapet_lab::{Lab, Namespace, Network, parapet_binary, topologies};

use crate::{
    scene::{Scene, ZONE},
    subject::Subject,
};

pub(crate) fn run(name: &str) -> anyhow::Result<()> {
    let Some(topology) = topologies::find(name) else {
        let names: Vec<String> = topologies::all().into_iter().map(|topology| topology.name).collect();
        bail!("there is no topology {name:?}; there are: {}", names.join(", "));
    };
    if topology.name == topologies::hidden_origin().name {
        let scene = Scene::build(Subject::Parapet)?;
        scene.wait_for_zones(|_, _, _| {})?;
        hosts(&scene.net);
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
    hosts(&net);
    wait_for_the_end()
}

fn hosts(net: &Network) {
    println!("{:<10}{:<13}{:<15}step into it with", "host", "IPv4", "IPv6");
    for host in net.hosts() {
        println!("{:<10}{:<13}{:<15}{} bash", host.name(), host.v4(), host.v6(), step_into(host));
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
