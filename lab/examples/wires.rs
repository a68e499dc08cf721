//! How exact a wire's delay is, and what the thread behind it costs: `cargo run --release -p parapet-lab --example wires`.
//! Needs root, and figures worth something need an otherwise idle machine.

use std::{
    net::{IpAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use parapet_lab::{Lab, Wire, wires::Quality};

const DELAY: Duration = Duration::from_millis(20);
const MEASURED: Duration = Duration::from_secs(5);
const FRAMES_PER_S: [u32; 4] = [100, 1_000, 10_000, 50_000];
/// Payload of a frame; a DNS answer is about this long.
const PAYLOAD_BYTES: usize = 100;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result {
    let lab = Lab::new("wires")?;
    let (first, second) = (lab.namespace("first")?, lab.namespace("second")?);
    let _wire = Wire::between(&first, "right", &second, "left", Quality::delay(DELAY))?;
    let addresses: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
    first.address("right", addresses[0], 24)?;
    second.address("left", addresses[1], 24)?;
    let sender = first.enter(|| UdpSocket::bind((addresses[0], 0)))??;
    let receiver = second.enter(|| UdpSocket::bind((addresses[1], 0)))??;
    sender.connect(receiver.local_addr()?)?;
    receiver.set_read_timeout(Some(Duration::from_millis(500)))?;
    println!("frames/s  arrived   too late by: median      p99       max   CPU of the wires");
    for rate in FRAMES_PER_S {
        measure(rate, &sender, &receiver)?;
    }
    Ok(())
}

fn measure(rate: u32, sender: &UdpSocket, receiver: &UdpSocket) -> Result {
    let begin = Instant::now();
    let cpu_before = cpu_of_wires()?;
    let (sent, mut late) = thread::scope(|scope| -> Result<(u32, Vec<u64>)> {
        let sending = scope.spawn(move || send(rate, sender, begin));
        let mut late = Vec::new();
        let mut bytes = [0; PAYLOAD_BYTES];
        while receiver.recv(&mut bytes).is_ok() {
            let now = nanoseconds(begin.elapsed());
            let sent = u64::from_be_bytes(*bytes.first_chunk().ok_or("a short frame")?);
            late.push((now - sent).saturating_sub(nanoseconds(DELAY)));
        }
        Ok((sending.join().map_err(|_| "the sender panicked")?, late))
    })?;
    let cpu = cpu_of_wires()? - cpu_before;
    late.sort_unstable();
    let at = |share: f64| late.get((late.len() as f64 * share) as usize).map_or(f64::NAN, |late| *late as f64 / 1e3);
    println!(
        "{rate:>8}  {:>6.2} %  {:>16.0} µs  {:>5.0} µs  {:>5.0} µs   {:>5.1} % of a core",
        late.len() as f64 * 100.0 / f64::from(sent),
        at(0.5),
        at(0.99),
        late.last().map_or(f64::NAN, |late| *late as f64 / 1e3),
        cpu.as_secs_f64() * 100.0 / MEASURED.as_secs_f64(),
    );
    Ok(())
}

/// Send at an even pace, each datagram with the time of its sending.
fn send(rate: u32, sender: &UdpSocket, begin: Instant) -> u32 {
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < MEASURED {
        let due = start + Duration::from_secs(1) * sent / rate;
        if let Some(wait) = due.checked_duration_since(Instant::now()) {
            thread::sleep(wait);
        }
        let mut bytes = [0; PAYLOAD_BYTES];
        bytes[..8].copy_from_slice(&nanoseconds(begin.elapsed()).to_be_bytes());
        let _ = sender.send(&bytes);
        sent += 1;
    }
    sent
}

/// Processor time of the thread called `wires`, proc(5).
fn cpu_of_wires() -> Result<Duration> {
    for task in std::fs::read_dir("/proc/self/task")?.flatten() {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        if read("comm").trim() == "wires" {
            // The first field of schedstat is the time on a processor in nanoseconds.
            let nanoseconds = read("schedstat").split_whitespace().next().and_then(|field| field.parse().ok());
            return Ok(Duration::from_nanos(nanoseconds.ok_or("no schedstat")?));
        }
    }
    Err("there is no thread of wires".into())
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
