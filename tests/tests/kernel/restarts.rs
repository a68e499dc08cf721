//! The daemon ends and comes again under load: told to, or killed; and its program with it, or pinned for the next one.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parapet_lab::{Edge, Named, until, zone_text};
use parapet_tests::ask;
use wire::Rtype;

use crate::attaching::program;
use crate::message::Message;
use crate::scene::{Asked, DEADLINE, INTERFACE, Scene, ZONE, required, status};

/// One question follows another after this time.
const EVERY: Duration = Duration::from_millis(3);
/// An answer that has not come after this time does not come. A daemon that starts on a busy machine takes a while until it
/// reads what its sockets have got already.
const LOST_AFTER: Duration = Duration::from_secs(5);
/// Where programs and maps are pinned.
const BPF: &str = "/sys/fs/bpf";

/// What a steady client got: every answer is the same, but the id.
struct Steady<'a> {
    scene: &'a Scene,
    ending: AtomicBool,
    asked: AtomicU64,
    lost: AtomicU64,
}

impl Steady<'_> {
    /// Asks for what is at hand below until it is told to end.
    fn run(&self) {
        let client = self.scene.client();
        let message = Message::new("www.example.com", Rtype::A).to_bytes(0);
        let wanted = client.exchange(&message).expect("an answer");
        client.at(|| {
            let socket = ask::connected(client.server);
            socket.set_read_timeout(Some(LOST_AFTER)).expect("a timeout");
            for id in 1u16.. {
                if self.ending.load(Ordering::Relaxed) {
                    return;
                }
                let message = [&id.to_be_bytes()[..], &message[2..]].concat();
                // While nobody listens, the machine says so: that is a question without an answer, too.
                let sent = socket.send(&message).is_ok();
                let mut buffer = [0; 4096];
                let got = loop {
                    match socket.recv(&mut buffer) {
                        Ok(length) if buffer[..2] == id.to_be_bytes() => break Some(length),
                        Ok(_) => {}
                        Err(_) => break None,
                    }
                };
                match got {
                    Some(length) if sent => assert_eq!(buffer[2..length], wanted[2..], "id {id}"),
                    _ => drop(self.lost.fetch_add(1, Ordering::Relaxed)),
                }
                self.asked.fetch_add(1, Ordering::Relaxed);
                thread::sleep(EVERY);
            }
        });
    }

    /// Waits until so many more have been asked.
    fn goes_on(&self, more: u64) {
        let from = self.asked.load(Ordering::Relaxed);
        until("the client to go on", DEADLINE, || (self.asked.load(Ordering::Relaxed) >= from + more).then_some(()))
            .expect("a client that goes on");
    }
}

/// Does `work` while a client asks; gives what was asked, and lost.
fn under_load(scene: &Scene, work: impl FnOnce(&Steady<'_>)) -> (u64, u64) {
    let steady = Steady { scene, ending: AtomicBool::new(false), asked: AtomicU64::new(0), lost: AtomicU64::new(0) };
    thread::scope(|scope| {
        let client = scope.spawn(|| steady.run());
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            steady.goes_on(50);
            work(&steady);
            steady.goes_on(50);
        }));
        steady.ending.store(true, Ordering::Relaxed);
        client.join().expect("a client");
        if let Err(panic) = worked {
            std::panic::resume_unwind(panic);
        }
    });
    (steady.asked.into_inner(), steady.lost.into_inner())
}

/// Waits until the kernel lane answers what is asked.
fn wait_until_below(edge: &Edge) {
    let before = Asked::of(edge).answered;
    until("answers by the kernel lane", DEADLINE, || (Asked::of(edge).answered > before + 20).then_some(()))
        .unwrap_or_else(|error| panic!("{error}: {:#}", Asked::of(edge).all));
}

/// Where this scene's programs are pinned; what a failed test leaves there goes with this.
struct Pins(String);

impl Pins {
    fn of(scene: &Scene) -> Pins {
        Pins(format!("parapet-{}-", scene.node))
    }

    /// The folders that are there.
    fn folders(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(BPF).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| self.is_ours(path)).collect()
    }

    fn is_ours(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&self.0))
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        for folder in self.folders() {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn start(name: &str, lanes: &str) -> (Scene, Named, Edge) {
    let scene = Scene::new(name);
    let origin = scene.origin(zone_text::small(ZONE) + "version 300 TXT \"1\"\n");
    let edge = scene.edge(&format!("{}\n{lanes}", required()), "");
    (scene, origin, edge)
}

/// Every answer is right, before and after; in between there is nobody.
#[test]
fn a_clean_restart_leaves_nothing_and_begins_anew() {
    let (scene, _origin, mut edge) = start("kernel-restart", "");
    let (asked, lost) = under_load(&scene, |steady| {
        for _ in 0..3 {
            wait_until_below(&edge);
            edge.stop().expect("parapet ends");
            assert_eq!(program(scene.host("edge"), INTERFACE), None);
            edge.start_again().expect("parapet");
            edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
            steady.goes_on(20);
        }
        wait_until_below(&edge);
    });
    println!("{asked} asked, {lost} lost");
}

#[test]
fn killed_the_daemon_takes_its_program_along() {
    let (scene, _origin, mut edge) = start("kernel-detach", "kernel_crash = \"detach\"");
    let pins = Pins::of(&scene);
    let (asked, lost) = under_load(&scene, |_| {
        for _ in 0..3 {
            wait_until_below(&edge);
            edge.kill().expect("parapet ends");
            let gone = || program(scene.host("edge"), INTERFACE).is_none().then_some(());
            until("the program to be gone", DEADLINE, gone).expect("no program");
            edge.start_again().expect("parapet");
            edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
        }
        wait_until_below(&edge);
    });
    println!("{asked} asked, {lost} lost");
    assert!(pins.folders().is_empty(), "{:?}", pins.folders());
}

/// No question of what is at hand is without its answer, however often the daemon is killed.
#[test]
fn killed_the_daemon_leaves_its_program_to_the_next_one() {
    let (scene, origin, mut edge) = start("kernel-keep", "kernel_crash = \"keep\"");
    let pins = Pins::of(&scene);
    let host = scene.host("edge");
    let (asked, lost) = under_load(&scene, |steady| {
        for _ in 0..3 {
            wait_until_below(&edge);
            let ours = program(host, INTERFACE).expect("a program");
            edge.kill().expect("parapet ends");
            assert_eq!(program(host, INTERFACE), Some(ours), "it stays");
            steady.goes_on(20);
            edge.start_again().expect("parapet");
            edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
            assert_eq!(status(&edge)["kernel_lane"]["taken_over"], true, "{:#}", status(&edge)["kernel_lane"]);
            assert_eq!(pins.folders().len(), 1);
        }
        wait_until_below(&edge);
    });
    println!("{asked} asked, {lost} lost");
    assert_eq!(lost, 0, "of {asked}");

    // What was taken over follows the zone as before.
    let text = |wanted: &str| {
        let message = Message::new("version.example.com", Rtype::TXT).to_bytes(1);
        let answer = scene.client().exchange(&message).expect("an answer");
        answer.windows(wanted.len()).any(|octets| octets == wanted.as_bytes())
    };
    (0..3).for_each(|_| assert!(text("1"), "the first version"));
    edge.kill().expect("parapet ends");
    origin
        .update(ZONE, &format!("update delete version.{ZONE} TXT\nupdate add version.{ZONE} 300 TXT \"second\""))
        .expect("an update");
    edge.start_again().expect("parapet");
    edge.wait_for_zone(ZONE, 2, DEADLINE).expect("the change");
    (0..3).for_each(|_| assert!(text("second"), "not what was there before"));

    // Told to end, it takes all away.
    edge.stop().expect("parapet ends");
    assert_eq!(program(host, INTERFACE), None);
    assert!(pins.folders().is_empty(), "{:?}", pins.folders());
}

/// A daemon that does not come back: its program has its say for a while, and then lets everything pass.
#[test]
fn without_a_daemon_the_program_falls_silent() {
    let (scene, _origin, edge) = start("kernel-silent", "kernel_crash = \"keep\"");
    let _pins = Pins::of(&scene);
    let message = Message::new("www.example.com", Rtype::A).to_bytes(1);
    let answers = || {
        let asked = scene.client().at(|| ask::exchange_udp(scene.client().server, &message, LOST_AFTER));
        asked.is_ok()
    };
    until("an answer by the kernel lane", DEADLINE, || {
        assert!(answers());
        (Asked::of(&edge).answered > 0).then_some(())
    })
    .expect("answers by the kernel lane");
    edge.kill().expect("parapet ends");
    let begun = Instant::now();
    assert!(answers(), "it goes on for now");
    until("it to fall silent", DEADLINE, || (!answers()).then_some(())).expect("silence");
    println!("silent after {:?}", begun.elapsed());
}
