//! The load generator of benchmarks: `kxdpgun` with one thread on one core, the server on another.

use std::{net::IpAddr, path::Path, time::Duration};

use anyhow::bail;
use parapet_lab::{LabError, Network, until};

/// The generator sits on this core; so does whatever else runs.
pub(crate) const GENERATOR_CORE: usize = 0;
/// The server has this core for itself.
pub(crate) const SERVER_CORE: usize = 1;
/// What `kxdpgun` needs besides the seconds of load.
const GENERATOR_EXTRA: Duration = Duration::from_secs(20);
/// A socket of an earlier run is gone after this time.
const SOCKET_DEADLINE: Duration = Duration::from_secs(10);

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

/// What the generator is to do.
pub(crate) struct Offer<'o> {
    /// The questions of this file, over and over.
    pub(crate) questions: &'o Path,
    pub(crate) server: IpAddr,
    pub(crate) rate_per_s: u32,
    pub(crate) seconds: u32,
    /// From these addresses, ADDRESS/BITS, in turn; else from the client's own.
    pub(crate) sources: Option<String>,
}

/// Ask, from the host `client`.
pub(crate) fn offer(net: &Network, offer: &Offer<'_>) -> Result<Load, LabError> {
    let Offer { questions, server, rate_per_s, seconds, sources } = offer;
    let sources = sources.iter().flat_map(|sources| ["-l", sources]);
    let generator = net
        .host("client")
        .program("kxdpgun")
        .args(["-t", &seconds.to_string(), "-Q", &rate_per_s.to_string(), "-F", &format!("{GENERATOR_CORE}s1")])
        .args(sources)
        .arg("-i")
        .arg(questions.to_string_lossy())
        .arg(server.to_string())
        .core(Some(GENERATOR_CORE))
        .deadline(Duration::from_secs(u64::from(*seconds)) + GENERATOR_EXTRA);
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
