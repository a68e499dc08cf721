//! The machine and the versions that figures were measured with, in one line.

use std::{fs, process::Command};

use crate::subject::Subject;

pub(crate) fn describe(subjects: &[Subject]) -> String {
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    let cpu = first(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let memory_kib = first(&read("/proc/meminfo"), "MemTotal")
        .and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    let mut versions = vec![format!("BIND {}", version("named", "-v"))];
    for subject in subjects.iter().filter(|subject| **subject != Subject::Bind) {
        versions.push(match subject {
            Subject::Bind => String::new(),
            Subject::Parapet => format!("parapet {}", env!("CARGO_PKG_VERSION")),
            Subject::Nsd => format!("NSD {}", version("nsd", "-v")),
            Subject::Sockets | Subject::Generic | Subject::Echo => continue,
            Subject::KnotXdp if subjects.contains(&Subject::Knot) => continue,
            Subject::Knot | Subject::KnotXdp => format!("Knot {}", version("knotd", "-V")),
            Subject::Dnsdist => format!("dnsdist {}", version("dnsdist", "--version")),
            Subject::Unbound => format!("unbound {}", version("unbound", "-V")),
            Subject::Bird => {
                let checker = version(parapet_lab::failover::HEALTHCHECKER, "--version");
                format!("BIRD {} with anycast-healthchecker {checker}", version("bird", "--version"))
            }
        });
    }
    format!("{cores} cores ({cpu}), {} GiB, Linux {kernel}; {}", memory_kib >> 20, versions.join(", "))
}

/// The first word of a program's version message that looks like a version.
fn version(program: &str, option: &str) -> String {
    let sbin = format!("/usr/sbin/{program}");
    let program = if fs::exists(&sbin).unwrap_or(false) { sbin } else { program.to_owned() };
    let Ok(output) = Command::new(program).arg(option).output() else { return "?".to_owned() };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let looks_like_one = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.');
    let found = text.split_whitespace().find(looks_like_one).unwrap_or("?");
    found.split('-').next().unwrap_or(found).to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The value of the first line `KEY : value`.
fn first(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
