//! XDP programs at the lab's interfaces: which one is there, how long it runs; the echo that shows what the wire gives, and
//! one that does nothing, which the end of a wire needs to be sent anything by a program at the other end.

use std::{fs, path::Path, time::Duration};

use serde_json::Value;

use crate::{LabError, Namespace, servers};

/// Whether the kernel counts and times the runs of all its programs.
const STATISTICS: &str = "/proc/sys/kernel/bpf_stats_enabled";
/// The lab's own programs. They are compiled when one is asked for: that takes a tenth of a second, and needs clang no sooner.
const PROGRAMS: &str = include_str!("../kernel/wire.bpf.c");

/// An XDP program that is attached to an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct XdpProgram {
    /// Its number, as `bpftool` and `ip` have it.
    pub id: u64,
    /// Whether the driver runs it (native mode), or the network stack (generic mode).
    pub is_native: bool,
}

/// Runs of a program, as far as they were timed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Runs {
    /// How many.
    pub count: u64,
    /// How long they took together.
    pub time: Duration,
}

impl Runs {
    /// Those since `earlier`.
    pub fn since(&self, earlier: &Runs) -> Runs {
        Runs { count: self.count.saturating_sub(earlier.count), time: self.time.saturating_sub(earlier.time) }
    }

    /// Nanoseconds for each; `None` without any.
    pub fn nanoseconds(&self) -> Option<f64> {
        (self.count > 0).then(|| self.time.as_nanos() as f64 / self.count as f64)
    }
}

impl Namespace {
    /// The XDP program of an interface, if it has one. Needs `ip`.
    pub fn xdp_program(&self, interface: &str) -> Result<Option<XdpProgram>, LabError> {
        /// XDP_ATTACHED_DRV of if_link.h.
        const NATIVE: u64 = 1;
        let output = self.run("ip", &["-json", "link", "show", "dev", interface])?;
        let listed = parse(&output.stdout, "ip's list of interfaces")?;
        let xdp = listed.get(0).and_then(|link| link.get("xdp"));
        let id = xdp.and_then(|xdp| xdp.get("prog")?.get("id")?.as_u64());
        let mode = xdp.and_then(|xdp| xdp.get("mode")?.as_u64());
        Ok(id.map(|id| XdpProgram { id, is_native: mode == Some(NATIVE) }))
    }

    /// Have this end of a wire take frames that an XDP program sends at the other end (`XDP_TX`): with a program of its own
    /// that passes everything. A veth that is only polled (GRO) has room for such frames, but nobody wakes it up for them.
    /// Not for an end whose user brings a program, as `kxdpgun` does. Needs `clang`, libbpf's headers, `ip`.
    pub fn take_xdp(&self, interface: &str) -> Result<(), LabError> {
        self.attach(interface, "pass")
    }

    /// Have an XDP program send back every DNS query that arrives at this interface, until [`Namespace::detach_xdp`]. Its
    /// answers arrive where the other end [takes them](Namespace::take_xdp). Needs what that needs.
    pub fn start_echo(&self, interface: &str) -> Result<(), LabError> {
        self.attach(interface, "echo")
    }

    /// Take the XDP program off this interface, whoever has left it there: Knot does.
    pub fn detach_xdp(&self, interface: &str) -> Result<(), LabError> {
        match self.xdp_program(interface)? {
            Some(_) => self.run("ip", &["link", "set", "dev", interface, "xdpdrv", "off"]).map(drop),
            None => Ok(()),
        }
    }

    /// Compile the lab's programs, and attach one in native mode.
    fn attach(&self, interface: &str, program: &str) -> Result<(), LabError> {
        let folder = self.lab().sub_folder(&format!("xdp-{}", self.name()))?;
        let (source, object) = (folder.join("wire.bpf.c"), folder.join("wire.bpf.o"));
        servers::write(&source, PROGRAMS)?;
        let name = |path: &Path| path.to_string_lossy().into_owned();
        let headers = format!("-I/usr/include/{}-linux-gnu", std::env::consts::ARCH);
        let compile = ["-target", "bpf", "-mcpu=v3", "-O2", "-g", &headers, "-c", &name(&source), "-o", &name(&object)];
        self.run("clang", &compile)?;
        let attach = ["link", "set", "dev", interface, "xdpdrv", "object", &name(&object), "program", program];
        self.run("ip", &attach).map(drop)
    }
}

impl XdpProgram {
    /// Its runs that were timed, since it was loaded. Needs `bpftool`, which any namespace may run.
    pub fn runs(&self, namespace: &Namespace) -> Result<Runs, LabError> {
        let output = namespace.run("bpftool", &["--json", "prog", "show", "id", &self.id.to_string()])?;
        let shown = parse(&output.stdout, "bpftool's words on a program")?;
        // What has never run with statistics on has no such numbers.
        let number = |key: &str| shown.get(key).and_then(Value::as_u64).unwrap_or_default();
        Ok(Runs { count: number("run_cnt"), time: Duration::from_nanos(number("run_time_ns")) })
    }
}

/// While it lives, the runs of all programs of this kernel are counted and timed. That costs each run some nanoseconds: what
/// else is measured should be measured without.
pub struct TimedRuns {
    before: String,
}

impl TimedRuns {
    /// From now on.
    pub fn begin() -> Result<TimedRuns, LabError> {
        let before = fs::read_to_string(STATISTICS).map_err(LabError::io(format!("reading {STATISTICS}")))?;
        fs::write(STATISTICS, "1").map_err(LabError::io(format!("writing {STATISTICS}")))?;
        Ok(TimedRuns { before })
    }
}

impl Drop for TimedRuns {
    fn drop(&mut self) {
        let _ = fs::write(STATISTICS, self.before.trim());
    }
}

fn parse(text: &str, what: &str) -> Result<Value, LabError> {
    serde_json::from_str(text).map_err(|error| LabError::Invalid(format!("reading {what}: {error}")))
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, time::Duration};

    use super::*;
    use crate::{Lab, Rtype, Topology, dns};

    #[test]
    fn the_echo_answers_and_its_runs_are_timed() {
        let lab = Lab::new("echo").unwrap();
        let net = lab.build(&Topology::new("pair", "").host("a").host("b").link("a", "b", 1)).unwrap();
        let (server, client) = (net.host("a"), net.host("b"));
        assert_eq!(server.xdp_program("b").unwrap(), None);
        client.take_xdp("a").unwrap();
        server.start_echo("b").unwrap();
        let program = server.xdp_program("b").unwrap().unwrap();
        assert!(program.is_native);
        let timed = TimedRuns::begin().unwrap();
        let before = program.runs(server).unwrap();
        let query = dns::encode_query(7, "example.com", Rtype::A).unwrap();
        let socket = client.enter(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.send_to(&query, (server.v4(), dns::PORT)).unwrap();
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).unwrap();
        assert_eq!(length, query.len());
        assert_eq!((answer[2], &answer[3..length]), (query[2] | 0x80, &query[3..]));
        let runs = program.runs(server).unwrap().since(&before);
        assert!(runs.count >= 1 && runs.nanoseconds().is_some(), "{runs:?}");
        drop(timed);
        server.detach_xdp("b").unwrap();
        assert_eq!(server.xdp_program("b").unwrap(), None);
    }
}
