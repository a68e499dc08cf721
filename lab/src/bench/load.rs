//! The load generator of benchmarks: `kxdpgun` with one thread on one core, the server on another, a wire between them.
//!
//! With `--lane kernel`
//!
//! - what arrives at each end of the wire is worked on by a thread of the kernel on the core of that end ([`Receiver`]): an
//!   answer from the kernel would be given by the core that asks, and a server by sockets spared what receiving costs;
//! - the questions come from addresses that nobody has, none of them exempt from Parapet's filters, of which only the limits are
//!   out of the way; `kxdpgun` asks from all ports of one before it takes the next, which makes some ten a second.

use std::{path::Path, time::Duration};

use anyhow::bail;
use parapet_lab::{LabError, Lanes, Network, Process, Rank, Receiver, until};

use crate::subject::CLIENTS;

/// The generator sits on this core; so does whatever else runs.
pub(crate) const GENERATOR_CORE: usize = 0;
/// The server has this core for itself.
pub(crate) const SERVER_CORE: usize = 1;
/// What `kxdpgun` needs besides the seconds of load.
const GENERATOR_EXTRA: Duration = Duration::from_secs(20);
/// A socket of an earlier run is gone after this time.
const SOCKET_DEADLINE: Duration = Duration::from_secs(10);
/// The interface of the client that leads to the server.
const SERVER: &str = "server";
/// With the kernel lane, questions come from these addresses; no host has them.
const SOURCES: ([u8; 4], u8) = ([10, 64, 0, 0], 16);
/// What the column of all processor time means there.
pub(crate) const ALL_OF_THE_CORE: &str = "all that the server's core did, receiving included";

/// What one run of the generator saw.
pub(crate) struct Load {
    pub(crate) sent: f64,
    /// Answers of any kind.
    pub(crate) answered: f64,
    /// Those with NOERROR or NXDOMAIN.
    pub(crate) good: f64,
    pub(crate) seconds: f64,
}

pub(crate) fn need_two_cores() -> anyhow::Result<()> {
    if std::thread::available_parallelism().map_or(1, |cores| cores.get()) < 2 {
        bail!("this benchmark needs two cores: one for the server, one for the generator");
    }
    Ok(())
}

/// The wire from the generator, at the host `client`, to the host `server`.
pub(crate) struct Wire<'n> {
    net: &'n Network,
    /// With the kernel lane: who receives at the server.
    receiver: Option<Receiver>,
}

/// Processor time until now.
#[derive(Clone, Copy)]
pub(crate) struct Used {
    /// The server's own.
    own: Duration,
    /// That of its end of the wire, with the kernel lane.
    receiving: Duration,
}

impl Used {
    /// Without what was used before.
    pub(crate) fn since(self, earlier: Used) -> Used {
        Used { own: self.own.saturating_sub(earlier.own), receiving: self.receiving.saturating_sub(earlier.receiving) }
    }

    pub(crate) fn us_per_answer(self, answers: f64) -> f64 {
        us_per_answer(self.own + self.receiving, answers)
    }

    pub(crate) fn own_us_per_answer(self, answers: f64) -> f64 {
        us_per_answer(self.own, answers)
    }
}

fn us_per_answer(time: Duration, answers: f64) -> f64 {
    time.as_secs_f64() * 1e6 / answers.max(1.0)
}

impl<'n> Wire<'n> {
    /// As it is to be where Parapet answers by these lanes, for whoever answers.
    pub(crate) fn new(net: &'n Network, lane: Lanes) -> Result<Wire<'n>, LabError> {
        let (server, client) = (net.host("server"), net.host("client"));
        let receiver = match lane {
            Lanes::Sockets => None,
            Lanes::Kernel | Lanes::Generic => {
                server.route(SOURCES.0.into(), SOURCES.1, client.v4())?;
                client.receive_on(SERVER, GENERATOR_CORE, Rank::Interrupt)?;
                Some(server.receive_on(CLIENTS, SERVER_CORE, Rank::Measured)?)
            }
        };
        Ok(Wire { net, receiver })
    }

    /// Whether answers may come from below the network stack.
    pub(crate) fn reaches_below(&self) -> bool {
        self.receiver.is_some()
    }

    /// Ask the questions of this file, over and over.
    pub(crate) fn offer(&self, questions: &Path, rate_per_s: u32, seconds: u32) -> Result<Load, LabError> {
        let sources = self.receiver.iter().flat_map(|_| {
            let ([a, b, c, d], bits) = SOURCES;
            ["-l".to_owned(), format!("{a}.{b}.{c}.{d}/{bits}")]
        });
        let generator = self
            .net
            .host("client")
            .program("kxdpgun")
            .args(["-t", &seconds.to_string(), "-Q", &rate_per_s.to_string(), "-F", &format!("{GENERATOR_CORE}s1")])
            .args(sources)
            .arg("-i")
            .arg(questions.to_string_lossy())
            .arg(self.net.host("server").v4().to_string())
            .core(Some(GENERATOR_CORE))
            .deadline(Duration::from_secs(u64::from(seconds)) + GENERATOR_EXTRA);
        // The kernel takes a moment to let go of the socket that the run before had.
        let output = until("a socket for the generator", SOCKET_DEADLINE, || match generator.clone().run() {
            Ok(output) if !output.status.success() && format!("{output:?}").contains("resource is busy") => None,
            other => Some(other),
        })??
        .success()?;
        read(&output.stdout).ok_or_else(|| LabError::Failed {
            command: output.command.clone(),
            status: "a report that cannot be read".to_owned(),
            output: format!("{}{}", output.stdout, output.stderr),
        })
    }

    /// `None` where no process is the server.
    pub(crate) fn used(&self, server: Option<&Process>) -> Result<Used, LabError> {
        let receiving = self.receiver.as_ref().map_or(Ok(Duration::ZERO), Receiver::run_time)?;
        Ok(Used { own: server.map_or(Duration::ZERO, Process::run_time), receiving })
    }

    /// Answers that were lost on the wire: the generator did not take them fast enough.
    pub(crate) fn refused(&self) -> Result<u64, LabError> {
        let (received, _) = self.net.host("client").interface_dropped(SERVER)?;
        let (_, to_be_sent) = self.net.host("server").interface_dropped(CLIENTS)?;
        Ok(received + to_be_sent)
    }
}

/// Read the end of `kxdpgun`'s report: lines as in `total replies:     90343 (45171 pps) (90%)`.
fn read(report: &str) -> Option<Load> {
    let number = |key: &str| {
        let line = report.lines().find(|line| line.starts_with(key))?;
        line.split_once(':')?.1.split_whitespace().next()?.parse::<f64>().ok()
    };
    // A code that no answer had has no line.
    let good = ["responded NOERROR", "responded NXDOMAIN"].into_iter().filter_map(number).sum();
    Some(Load {
        sent: number("total queries")?,
        answered: number("total replies")?,
        good,
        seconds: number("duration")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generators_report_is_read() {
        let report = "using interface c, XDP threads 1, UDP, native mode\nthread#00: sent 99900, received 90343\n\
            total queries:     99900 (49950 pps)\ntotal replies:     90343 (45171 pps) (90%)\n\
            average DNS reply size: 53 B\nresponded NOERROR:   90000\nresponded SERVFAIL:   300\n\
            responded NXDOMAIN:   43\nduration: 2 s\n";
        let load = read(report).unwrap();
        assert_eq!((load.sent, load.answered, load.good, load.seconds), (99_900.0, 90_343.0, 90_043.0, 2.0));
        assert!(read("no interface").is_none());
    }
}
