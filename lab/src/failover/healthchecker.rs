//! The peer: BIRD on the edge's host, and anycast-healthchecker, which asks the edge and tells BIRD what to announce.
//!
//! It is configured as its manual has it, and with the numbers that Parapet has: the same checks as often, as many good
//! and bad ones in a row, the same timers of BFD and BGP. Its check asks the edge over the service's address and compares
//! the serial with the origin's, as an operator writes it who does not want to serve what is old.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::signal::Signal;

use super::{Ground, Seat, Service, Tuning, ZONE, text::path};
use crate::{LabError, Namespace, Process, Program, program::find_program, routers::Bird, servers::write};

/// Its program; scripts/setup installs it.
pub const HEALTHCHECKER: &str = "anycast-healthchecker";
/// The names that its files give to what is to be announced.
const LISTS: [&str; 2] = ["ACAST_PS_ADVERTISE", "ACAST6_PS_ADVERTISE"];
/// Prefixes of nobody, which it always has in its lists.
const DUMMIES: [&str; 2] = ["10.189.200.255/32", "2001:db8:dead::1/128"];
/// One check may take so long.
const CHECK_TIMEOUT_S: f32 = 0.5;
/// It has started within this time.
const READY_DEADLINE: Duration = Duration::from_secs(30);

/// Both programs, running.
pub struct Healthchecker {
    bird: Bird,
    program: Program,
    process: Process,
    label: String,
    /// The file with the checks.
    checks: PathBuf,
    text: String,
}

impl Healthchecker {
    /// Put the service's addresses on `lo`, start both, and wait until the checks run.
    pub fn start(ground: &Ground, seat: &Seat, tuning: &Tuning) -> Result<Healthchecker, LabError> {
        let service = &ground.service;
        put_addresses(&seat.host, service)?;
        let folder = seat.host.lab().sub_folder(&format!("{HEALTHCHECKER}-{}", seat.name))?;
        for ((file, list), dummy) in list_files(&folder).iter().zip(LISTS).zip(DUMMIES) {
            write(file, &format!("define {list} =\n    [\n        {dummy}\n    ];\n"))?;
        }
        let bird = Bird::at(&seat.host).config(&bird_text(&folder, seat, service, tuning)).start()?;
        let (settings, checks) = (folder.join("settings.conf"), folder.join("checks.conf"));
        write(&settings, &settings_text(&folder, &bird.folder().join("bird.ctl"))?)?;
        let text = checks_text(ground, tuning)?;
        write(&checks, &text)?;
        let program =
            seat.host.program(HEALTHCHECKER).folder(&folder).args(["-f", &path(&settings), "-F", &path(&checks)]);
        let label = format!("{HEALTHCHECKER}-{}", seat.name);
        let process = program.clone().spawn(&label)?;
        let started = Healthchecker { bird, program, process, label, checks, text };
        started.process.wait_for_output("running", READY_DEADLINE)?;
        Ok(started)
    }

    /// BIRD on the edge's host.
    pub fn bird(&self) -> &Bird {
        &self.bird
    }

    /// Send a signal to all processes of both.
    pub fn signal(&self, signal: Signal) -> Result<(), LabError> {
        self.bird.process().signal_group(signal)?;
        self.process.signal_group(signal)
    }

    /// Withdraw as its manual has it: the checks are disabled, with `on_disabled = withdraw`, and it is started again.
    pub fn drain(&mut self) -> Result<(), LabError> {
        let disabled = self.text.replace("check_disabled = false", "check_disabled = true");
        self.start_again_with(&disabled)
    }

    /// Enable the checks again.
    pub fn undrain(&mut self) -> Result<(), LabError> {
        let enabled = self.text.clone();
        self.start_again_with(&enabled)
    }

    /// End both.
    pub fn stop(self) -> Result<(), LabError> {
        self.process.stop()?;
        self.bird.stop().map(|_| ())
    }

    fn start_again_with(&mut self, checks: &str) -> Result<(), LabError> {
        write(&self.checks, checks)?;
        // A check that it was running ends by itself.
        self.process.kill()?;
        self.process = self.program.clone().spawn(&self.label)?;
        Ok(())
    }
}

fn put_addresses(host: &Namespace, service: &Service) -> Result<(), LabError> {
    for (address, bits) in [(IpAddr::from(service.v4), 32), (IpAddr::from(service.v6), 128)] {
        let there = host.addresses().contains(&address);
        if !there {
            host.address("lo", address, bits)?;
        }
    }
    Ok(())
}

fn list_files(folder: &Path) -> [PathBuf; 2] {
    [folder.join("prefixes4.conf"), folder.join("prefixes6.conf")]
}

/// Announces the service's prefixes while its addresses stand in the lists.
fn bird_text(folder: &Path, seat: &Seat, service: &Service, tuning: &Tuning) -> String {
    let [list4, list6] = list_files(folder);
    let (net4, bits4) = service.v4_prefix;
    let (net6, bits6) = service.v6_prefix;
    let (interval, multiplier) = (tuning.bfd_interval_ms, tuning.bfd_multiplier);
    let mut text = format!(
        "include \"{}\";\ninclude \"{}\";\nrouter id {};\nprotocol device {{ }}\n\
         protocol static {{ ipv4; route {net4}/{bits4} unreachable; }}\n\
         protocol static {{ ipv6; route {net6}/{bits6} unreachable; }}\n\
         protocol bfd {{ interface \"*\" {{ interval {interval} ms; multiplier {multiplier}; idle tx interval 1 s; }}; }}\n",
        list4.display(),
        list6.display(),
        seat.router_id(),
    );
    let lists = [format!("{}/32 ~ {}", service.v4, LISTS[0]), format!("{}/128 ~ {}", service.v6, LISTS[1])];
    for (number, uplink) in (1..).zip(&seat.uplinks) {
        for ((family, router, own), listed) in uplink.sessions().into_iter().zip(&lists) {
            text.push_str(&format!(
                "protocol bgp r{number}_{family} {{\n  local {own} as {};\n  neighbor {router} as {};\n  direct;\n  \
                 ttl security on;\n  hold time {};\n  connect delay time 0;\n  connect retry time 1;\n  \
                 error wait time 1, 2;\n  bfd on;\n  {family} {{ next hop self; import none;\n    \
                 export filter {{ if {listed} then accept; reject; }}; }};\n}}\n",
                seat.local_as, uplink.router_as, tuning.hold_time_s,
            ));
        }
    }
    text
}

fn settings_text(folder: &Path, socket: &Path) -> Result<String, LabError> {
    let [list4, list6] = list_files(folder);
    let command = format!("{} -s {} configure", find_program("birdc")?.display(), socket.display());
    let [dummy4, dummy6] = DUMMIES;
    let [name4, name6] = LISTS;
    Ok(format!(
        "[DEFAULT]\ninterface = lo\n\n[daemon]\npidfile = {}\nipv4 = true\nipv6 = true\nbird_conf = {}\nbird6_conf = {}\n\
         bird_variable = {name4}\nbird6_variable = {name6}\nbird_reconfigure_cmd = {command}\n\
         bird6_reconfigure_cmd = {command}\ndummy_ip_prefix = {dummy4}\ndummy_ip6_prefix = {dummy6}\nloglevel = info\n",
        path(&folder.join("pid")),
        path(&list4),
        path(&list6),
    ))
}

/// A check for each family, as it wants them.
fn checks_text(ground: &Ground, tuning: &Tuning) -> Result<String, LabError> {
    let service = &ground.service;
    let interval = f64::from(tuning.check_interval_ms) / 1000.0;
    let (rise, fall) = (tuning.rise, tuning.fall);
    let me = std::env::current_exe().map_err(LabError::io("finding the program's own path"))?;
    let check = |name: &str, address: IpAddr, bits: u8| {
        format!(
            "[{name}]\ncheck_cmd = {} check {address} {} {ZONE}\ncheck_interval = {interval}\n\
             check_timeout = {CHECK_TIMEOUT_S}\ncheck_rise = {rise}\ncheck_fail = {fall}\ncheck_disabled = false\n\
             on_disabled = withdraw\nip_prefix = {address}/{bits}\nip_check_disabled = true\n\n",
            me.display(),
            ground.origin,
        )
    };
    Ok(check("dns4", service.v4.into(), 32) + &check("dns6", service.v6.into(), 128))
}
