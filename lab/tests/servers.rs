//! The lab itself: networks that carry packets, real servers in them, counters that count, nothing left behind.
//! Needs root and the packages of scripts/setup.

use std::{net::IpAddr, os::unix::process::ExitStatusExt, time::Duration};

use nix::sys::signal::{SigSet, Signal};

use parapet_lab::{
    CachePeer, Dnssec, Knot, Lab, Named, Nsd, Rtype, TsigKey, ZoneSpec,
    counters::Counters,
    dns,
    scripted::{Behaviour, Scripted},
    topologies, zone_text,
};

const DEADLINE: Duration = Duration::from_secs(30);

type Result = std::result::Result<(), Box<dyn std::error::Error>>;

#[test]
fn a_knot_stays_on_the_core_it_was_given() -> Result {
    let lab = Lab::new("knot-core")?;
    let net = lab.build(&topologies::hidden_origin())?;
    let core = std::thread::available_parallelism()?.get() - 1;
    let zone = ZoneSpec::text("example.com", zone_text::small("example.com"));
    let knot = Knot::at(net.host("edge1")).zone(zone).core(Some(core)).start()?;
    let threads = std::fs::read_dir(format!("/proc/{}/task", knot.process().pid()))?;
    for thread in threads {
        let status = std::fs::read_to_string(thread?.path().join("status"))?;
        let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).map(str::trim);
        assert_eq!(cores, Some(core.to_string().as_str()), "{status}");
    }
    Ok(())
}

#[test]
fn peers_follow_a_named_and_strangers_are_counted() -> Result {
    let lab = Lab::new("peers")?;
    let net = lab.build(&topologies::hidden_origin())?;
    let (origin, client) = (net.host("origin"), net.host("client1"));
    let key = TsigKey::generate(&lab, "parapet")?;
    let arrivals = Counters::of_arrivals(
        origin,
        &[
            ("clients", client.addresses()),
            ("edges", [net.host("edge1").addresses(), net.host("edge2").addresses()].concat()),
        ],
    )?;
    let named = Named::at(origin)
        .key(&key)
        .notify(net.host("edge1").v4())
        .notify(net.host("edge2").v4())
        .zone(ZoneSpec::text("example.com", zone_text::small("example.com")).dynamic())
        .zone(ZoneSpec::text(".", zone_text::root()?))
        .start()?;
    let nsd =
        Nsd::at(net.host("edge1")).origin(named.v4()).key(&key).secondary("example.com").secondary(".").start()?;
    let knot =
        Knot::at(net.host("edge2")).origin(named.v4()).key(&key).secondary("example.com").secondary(".").start()?;
    for peer in [&*nsd, &*knot] {
        peer.wait_for_zone("example.com", 1, DEADLINE)?;
        peer.wait_for_zone(".", 2_017_082_100, DEADLINE)?;
        assert!(peer.process().resident_bytes() > 1 << 20, "{}", peer.subject());
    }

    named.update("example.com", "update add new.example.com 300 A 192.0.2.77")?;
    for (peer, address) in [(&*nsd, nsd.v4()), (&*nsd, nsd.v6()), (&*knot, knot.v4()), (&*knot, knot.v6())] {
        // Not only the serial: for a moment NSD's old and new process answer side by side.
        let changed = || {
            let reply = dns::ask(client, address, "new.example.com", Rtype::A).ok()?;
            (reply.addresses() == [IpAddr::from([192, 0, 2, 77])]).then_some(())
        };
        parapet_lab::until(format!("the change at {} {address}", peer.subject()), DEADLINE, changed)?;
    }

    assert_eq!(arrivals.packets("clients")?, 0);
    assert!(arrivals.packets("edges")? > 0);
    let mut stray = dns::Client::new(client, (named.v6(), dns::PORT).into())?;
    assert!(stray.ask_once("example.com", Rtype::SOA, DEADLINE).is_some());
    assert_eq!(arrivals.packets("clients")?, 1);
    Ok(())
}

#[test]
fn named_signs_and_takes_other_zones() -> Result {
    let lab = Lab::new("signed")?;
    let host = lab.namespace("origin")?;
    host.address("lo", [192, 0, 2, 1].into(), 32)?;
    let mut named = Named::at(&host)
        .zone(ZoneSpec::text("nsec.example", zone_text::small("nsec.example")).signed(Dnssec::Nsec))
        .zone(ZoneSpec::text("nsec3.example", zone_text::small("nsec3.example")).signed(Dnssec::Nsec3).dynamic())
        .zone(ZoneSpec::text("plain.example", zone_text::small("plain.example")))
        .start()?;
    for zone in ["nsec.example", "nsec3.example"] {
        let signed = || dns::ask(&host, named.v4(), zone, Rtype::DNSKEY).ok().filter(|reply| reply.answers.len() == 1);
        parapet_lab::until(format!("a key in {zone}"), DEADLINE, signed)?;
    }
    let second = zone_text::small("plain.example").replace("hostmaster 1 ", "hostmaster 9 ");
    named.replace_zone("plain.example", &second)?;
    named.wait_for_zone("plain.example", 9, DEADLINE)?;
    named.start_again()?;
    named.wait_for_zone("plain.example", 9, DEADLINE)?;
    Ok(())
}

#[test]
fn a_scripted_origin_does_as_it_is_told_and_caches_ask_it_once() -> Result {
    let lab = Lab::new("scripted")?;
    let net = lab.build(&topologies::hidden_origin())?;
    let client = net.host("client1");
    let origin = Scripted::start(net.host("origin"), &["od.example"])?;
    let number = |reply: &dns::Reply| reply.texts().first().cloned().unwrap_or_default();
    let first = dns::ask(client, origin.v4(), "wWw.od.example", Rtype::TXT)?;
    assert_eq!((number(&first), first.aa, origin.count_of("www.od.example")), ("1".to_owned(), true, 1));
    assert_eq!(origin.asked().first().map(|asked| asked.name.clone()), Some("wWw.od.example".to_owned()));

    let mut once = dns::Client::new(client, (origin.v4(), dns::PORT).into())?;
    for (behaviour, rcode) in
        [(Behaviour::Servfail, Some(2)), (Behaviour::Refused, Some(5)), (Behaviour::WrongId, None)]
    {
        origin.behave(behaviour);
        let reply = once.ask_once("www.od.example", Rtype::A, Duration::from_millis(300));
        assert_eq!(reply.map(|reply| reply.rcode), rcode, "{behaviour:?}");
    }
    origin.behave(Behaviour::Slow(Duration::from_millis(200)));
    let slow = once.ask_once("www.od.example", Rtype::A, DEADLINE).ok_or("no slow answer")?;
    assert!(slow.elapsed >= Duration::from_millis(200), "{:?}", slow.elapsed);

    origin.behave(Behaviour::Right);
    let dnsdist = CachePeer::dnsdist(net.host("edge1"), origin.v4()).zone("od.example").start()?;
    let unbound = CachePeer::unbound(net.host("edge2"), origin.v4()).zone("od.example").start()?;
    for (cache, name) in [(&*dnsdist, "one.od.example"), (&*unbound, "two.od.example")] {
        let texts: Vec<String> = (0..3)
            .map(|_| Ok(number(&dns::ask(client, cache.v4(), name, Rtype::TXT)?)))
            .collect::<std::result::Result<_, parapet_lab::LabError>>()?;
        assert!(texts.iter().all(|text| *text == texts[0] && !text.is_empty()), "{}: {texts:?}", cache.subject());
        assert_eq!(origin.count_of(name), 1, "{}", cache.subject());
    }
    Ok(())
}

#[test]
fn what_a_lab_started_ends_with_it() -> Result {
    let lab = Lab::new("ends")?;
    let folder = lab.folder().to_owned();
    let host = lab.namespace("host")?;
    let process = host.program("sleep").arg("1000").spawn("sleep")?;
    assert!(process.is_running());
    drop(lab);
    assert!(!process.is_running());
    assert!(!folder.exists());
    Ok(())
}

#[test]
fn a_program_that_fails_says_so() -> Result {
    let lab = Lab::new("fails")?;
    let host = lab.namespace("host")?;
    let error = host.run("sh", &["-c", "echo the reason >&2; exit 3"]).unwrap_err().to_string();
    assert!(error.contains("exit status: 3") && error.contains("the reason"), "{error}");
    let error = host.run("no-such-program", &[""; 0]).unwrap_err().to_string();
    assert!(error.contains("no-such-program is not installed"), "{error}");
    let late = host.program("sleep").arg("1000").deadline(Duration::from_millis(50)).run().unwrap_err().to_string();
    assert!(late.contains("the end of"), "{late}");
    Ok(())
}

#[test]
fn a_process_hears_signals_that_the_lab_blocks() -> Result {
    // As clean_up_on_signals does; a blocked signal would be inherited through exec.
    SigSet::all().thread_block()?;
    let lab = Lab::new("signals")?;
    let process = lab.namespace("host")?.program("sleep").arg("1000").spawn("sleep")?;
    assert_eq!(process.stop()?.signal(), Some(Signal::SIGTERM as i32));
    Ok(())
}
