//! Keeps one zone equal to an origin and prints what happens when: `measure-sync ORIGIN ZONE STATE [NOTIFY-ADDRESS]`.
//! It ends on a line from standard input.

use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use config::{SecretFile, SecretFiles};
use origin_sync::{NotifyOutcome, OriginSync};
use wire::Name;
use zones::Zones;

struct NoFiles;

impl SecretFiles for NoFiles {
    fn read(&self, _: &Path) -> Result<SecretFile, String> {
        Err("no files here".into())
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [origin, zone, state, more @ ..] = &arguments[..] else {
        eprintln!("measure ORIGIN ZONE STATE [NOTIFY-ADDRESS]");
        std::process::exit(2);
    };
    let text = format!(
        "[node.m]\nlisten = [\"127.0.0.1:53\"]\nstate_dir = \"{state}\"\n[origin.o]\naddresses = [\"{origin}\"]\n\
         [zone.\"{zone}\"]\norigins = [\"o\"]\n"
    );
    let config =
        config::Network::parse(&text, "m.toml", &NoFiles).expect("configuration").value.for_node("m").expect("node");
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    let zones = Arc::new(Zones::new());
    let cache = Arc::new(cache::Cache::new(config.node.limits.cache_bytes_max));
    let sync = OriginSync::start(&config, Arc::clone(&zones), cache, runtime.handle()).expect("start");
    println!("started after {:?}", started.elapsed());
    if let Some(address) = more.first() {
        listen(address.parse().expect("an address"), &sync);
    }
    let apex: Name = zone.parse().expect("a name");
    std::thread::spawn(move || {
        let mut last = None;
        loop {
            let serving = zones.get(apex.as_ref()).and_then(|slot| slot.serving());
            let serial = serving.as_ref().map(|zone| zone.serial());
            if serial != last {
                let (records, bytes) = serving.map_or((0, 0), |zone| (zone.record_count(), zone.heap_bytes()));
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("clock").as_nanos();
                println!(
                    "{now} serial {serial:?} after {:?}: {records} records, {bytes} bytes; {}",
                    started.elapsed(),
                    memory()
                );
                last = serial;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    });
    let _ = std::io::stdin().read(&mut [0]);
    println!("{}", memory());
    println!("{:#?}", sync.status());
}

fn listen(address: SocketAddr, sync: &OriginSync) {
    let (socket, notifier) = (UdpSocket::bind(address).expect("bind"), sync.notifier());
    std::thread::spawn(move || {
        let (mut message, mut out) = ([0; 4096], [0; 4096]);
        while let Ok((length, peer)) = socket.recv_from(&mut message) {
            if let NotifyOutcome::Answer(length) = notifier.handle(&message[..length], peer, &mut out) {
                let _ = socket.send_to(&out[..length], peer);
            }
        }
    });
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}
