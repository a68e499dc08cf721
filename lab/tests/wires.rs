//! Wires that do what long ones do. Needs root and /dev/net/tun.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use parapet_lab::{
    Lab, Namespace, Wire, until,
    wires::{Counts, Quality},
};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const V4: [IpAddr; 2] =
    [IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2))];
const V6: [&str; 2] = ["fd00::1", "fd00::2"];
const DEADLINE: Duration = Duration::from_secs(10);

/// Two hosts, a wire between them, and a socket pair of each family over it.
struct Pair {
    wire: Wire,
    hosts: [Namespace; 2],
    _lab: Lab,
}

fn pair(quality: Quality) -> Result<Pair> {
    let lab = Lab::new("wires")?;
    let hosts = [lab.namespace("first")?, lab.namespace("second")?];
    let wire = Wire::between(&hosts[0], "right", &hosts[1], "left", quality)?;
    for (host, (interface, number)) in hosts.iter().zip([("right", 0), ("left", 1)]) {
        host.address(interface, V4[number], 24)?;
        host.address(interface, V6[number].parse()?, 64)?;
    }
    Ok(Pair { wire, hosts, _lab: lab })
}

impl Pair {
    /// A socket at each host, connected to each other.
    fn sockets(&self, addresses: [IpAddr; 2]) -> Result<[UdpSocket; 2]> {
        let bind = |number: usize| {
            self.hosts[number].enter(|| UdpSocket::bind(SocketAddr::new(addresses[number], 0)))?.map_err(opening)
        };
        let sockets = [bind(0)?, bind(1)?];
        for (socket, other) in [(0, 1), (1, 0)] {
            sockets[socket].connect(sockets[other].local_addr()?)?;
            sockets[socket].set_read_timeout(Some(Duration::from_millis(500)))?;
        }
        Ok(sockets)
    }
}

fn opening(source: std::io::Error) -> parapet_lab::LabError {
    parapet_lab::LabError::Io { doing: "opening a socket".to_owned(), source }
}

/// There and back; `None` where nothing came back.
fn round_trip(sockets: &[UdpSocket; 2], number: u32) -> Option<Duration> {
    let begun = Instant::now();
    sockets[0].send(&number.to_be_bytes()).ok()?;
    for (here, back) in [(1, true), (0, false)] {
        let mut bytes = [0; 16];
        loop {
            let length = sockets[here].recv(&mut bytes).ok()?;
            if bytes[..length] == number.to_be_bytes() {
                break;
            }
        }
        if back {
            sockets[here].send(&bytes[..4]).ok()?;
        }
    }
    Some(begun.elapsed())
}

#[test]
fn a_wire_delays_both_families_by_what_it_is_told() -> Result {
    let pair = pair(Quality::delay(Duration::from_millis(20)))?;
    for addresses in [V4, [V6[0].parse()?, V6[1].parse()?]] {
        let sockets = pair.sockets(addresses)?;
        let times: Vec<Duration> = (0..20).filter_map(|number| round_trip(&sockets, number)).collect();
        let (least, most) = (times.iter().min().ok_or("nothing came back")?, times.len());
        assert!(most >= 18, "{most} of 20 came back");
        assert!(times.iter().all(|time| *time >= Duration::from_millis(40)), "{times:?}");
        // Without a bound on what else the machine does, only the best one says something.
        assert!(*least < Duration::from_millis(45), "{times:?}");
    }
    pair.wire.set_quality(Quality::delay(Duration::from_millis(1)));
    let sockets = pair.sockets(V4)?;
    let least = (0..20).filter_map(|number| round_trip(&sockets, number)).min().ok_or("nothing came back")?;
    assert!((Duration::from_millis(2)..Duration::from_millis(7)).contains(&least), "{least:?}");
    Ok(())
}

#[test]
fn a_wire_loses_its_share_and_counts_it() -> Result {
    const SENT: u32 = 4000;
    let pair = pair(Quality::default())?;
    let sockets = pair.sockets(V4)?;
    round_trip(&sockets, 0).ok_or("the wire does not carry")?;
    pair.wire.set_quality(Quality::default().loss(0.1));
    let before = pair.wire.counts();
    for number in 0..SENT {
        sockets[0].send(&number.to_be_bytes())?;
        if number % 100 == 99 {
            // The queue of a tap is bounded too; a burst is to fit.
            let sent = u64::from(number + 1);
            until("the wire to take the frames", DEADLINE, || {
                (seen(before, pair.wire.counts()) >= sent).then_some(())
            })?;
        }
    }
    let lost = pair.wire.counts().lost - before.lost;
    assert!((320..=480).contains(&lost), "{lost} of {SENT}");
    Ok(())
}

fn seen(before: Counts, now: Counts) -> u64 {
    now.passed + now.lost + now.dropped - before.passed - before.lost - before.dropped
}

#[test]
fn a_cut_is_silent_and_complete_and_can_be_mended() -> Result {
    let pair = pair(Quality::delay(Duration::from_millis(5)))?;
    let sockets = pair.sockets(V4)?;
    round_trip(&sockets, 0).ok_or("the wire does not carry")?;
    pair.wire.cut();
    assert!(pair.wire.is_cut());
    assert_eq!(round_trip(&sockets, 1), None);
    assert!(pair.wire.counts().cut >= 1);
    assert_eq!(carrier(&pair.hosts[0])?, "1");
    pair.wire.restore();
    until("the mended wire to carry", DEADLINE, || round_trip(&sockets, 2))?;
    Ok(())
}

#[test]
fn an_unplugged_wire_has_no_carrier() -> Result {
    let pair = pair(Quality::default())?;
    let sockets = pair.sockets(V4)?;
    round_trip(&sockets, 0).ok_or("the wire does not carry")?;
    // The kernel tells of a change within a second, not at once.
    let is =
        |wanted| until("the carrier to change", DEADLINE, || (carrier(&pair.hosts[0]).ok()? == wanted).then_some(()));
    pair.wire.unplug()?;
    is("0")?;
    pair.wire.plug_in()?;
    is("1")?;
    until("the wire to carry again", DEADLINE, || round_trip(&sockets, 1))?;
    Ok(())
}

#[test]
fn wires_carry_nothing_more_when_their_lab_has_ended() -> Result {
    let Pair { wire, hosts, _lab: lab } = pair(Quality::default())?;
    let carried = Pair { wire, hosts, _lab: Lab::new("outlives")? };
    let sockets = carried.sockets(V4)?;
    round_trip(&sockets, 0).ok_or("the wire does not carry")?;
    drop(lab);
    assert_eq!(round_trip(&sockets, 1), None);
    Ok(())
}

/// What the kernel says of the first host's end: `1` with a carrier.
fn carrier(host: &Namespace) -> Result<String> {
    let shown = host.run("ip", &["-json", "link", "show", "right"])?.stdout;
    Ok(if shown.contains("NO-CARRIER") { "0" } else { "1" }.to_owned())
}

#[test]
fn tcp_gets_through_a_slow_lossy_wire() -> Result {
    use std::io::{Read, Write};
    let quality = Quality::delay(Duration::from_millis(2)).jitter(Duration::from_millis(1)).loss(0.01).rate(50_000_000);
    let pair = pair(quality)?;
    let listener = pair.hosts[1].enter(|| std::net::TcpListener::bind((V4[1], 5000)))??;
    let server = std::thread::spawn(move || -> std::io::Result<Vec<u8>> {
        let (mut stream, _) = listener.accept()?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all)?;
        Ok(all)
    });
    let sent: Vec<u8> = (0..300_000u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
    let mut stream = pair.hosts[0].enter(|| std::net::TcpStream::connect((V4[1], 5000)))??;
    stream.write_all(&sent)?;
    drop(stream);
    assert!(server.join().map_err(|_| "the server panicked")?? == sent);
    assert!(pair.wire.counts().lost > 0);
    Ok(())
}
