//! BIRD 2, with the configuration that it is given.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::IpAddr,
    ops::{Deref, DerefMut},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use super::{ANSWER_BYTES_MAX, COMMAND_DEADLINE, Daemon, READY_DEADLINE, write};
use crate::{LabError, Namespace};

/// Reply codes of its control socket (BIRD's doc/reply_codes) from here on are errors.
const CODE_ERROR_MIN: u16 = 8000;

/// A router is there to notice within milliseconds what others do, not to be late itself on a busy machine.
const NICENESS: i8 = -10;

/// What a BIRD is to be.
#[must_use]
pub struct BirdBuilder {
    namespace: Namespace,
    text: String,
}

/// A running BIRD.
pub struct Bird {
    daemon: Daemon,
    namespace: Namespace,
    folder: PathBuf,
}

/// A route in one of its tables, as `show route all` says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BirdRoute {
    /// Its table, as in `master4`.
    pub table: String,
    /// The prefix.
    pub prefix: String,
    /// The protocol that it is from.
    pub protocol: String,
    /// Whether it is the best of its prefix.
    pub best: bool,
    /// Next hops, one for each path of an ECMP route, as in `10.1.0.2 on edge1`.
    pub via: Vec<String>,
    /// Its attributes by name, as in `BGP.as_path` and `65010 65010`.
    pub attributes: Vec<(String, String)>,
}

impl BirdRoute {
    /// An attribute by name, as in `BGP.community`.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

impl Bird {
    /// A BIRD in `namespace`; one to a namespace.
    pub fn at(namespace: &Namespace) -> BirdBuilder {
        BirdBuilder { namespace: namespace.clone(), text: String::new() }
    }

    /// Where it runs.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its folder: configuration and control socket.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Give it another configuration and make it take it; what is not changed by that goes on undisturbed. One that is
    /// wrong changes nothing and is an error.
    pub fn reconfigure(&self, text: &str) -> Result<(), LabError> {
        let [new, current] = ["bird.conf.new", "bird.conf"].map(|name| self.folder.join(name));
        write(&new, &with_log(text))?;
        self.command(&format!("configure check \"{}\"", new.display()))?;
        std::fs::rename(&new, &current).map_err(LabError::io(format!("replacing {}", current.display())))?;
        self.command("configure").map(|_| ())
    }

    /// Ask or tell it something over its control socket, as with `birdc`; gives the lines of its answer.
    pub fn command(&self, command: &str) -> Result<String, LabError> {
        ask(&self.socket(), command)
    }

    /// All routes that match, in the words of BIRD: `for 192.0.2.1`, `protocol edge1`, `table master6`; empty: all.
    pub fn routes(&self, which: &str) -> Result<Vec<BirdRoute>, LabError> {
        Ok(parse_routes(&self.command(&format!("show route {which} all"))?))
    }

    /// How many networks a table knows.
    pub fn networks(&self, table: &str) -> Result<usize, LabError> {
        // "33 of 33 routes for 11 networks in table master4"
        let text = self.command(&format!("show route table {table} count"))?;
        let words: Vec<&str> = text.split_whitespace().collect();
        let at = words.iter().position(|word| word.starts_with("network"));
        let count = at.and_then(|at| words.get(at.checked_sub(1)?)?.parse().ok());
        count.ok_or_else(|| LabError::Invalid(format!("bird counts its routes as {text:?}")))
    }

    /// State and information of a protocol, as in `up` and `Established`.
    pub fn protocol(&self, name: &str) -> Result<(String, String), LabError> {
        let text = self.command(&format!("show protocols {name}"))?;
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
        let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
        // Name, kind, table, state, since (one word: seen with `timeformat protocol iso long` as two), information.
        let since_end = if words.get(4).is_some_and(|word| word.contains('-')) { 6 } else { 5 };
        let info = words.get(since_end..).unwrap_or_default().join(" ");
        Ok((words.get(3).copied().unwrap_or_default().to_owned(), info))
    }

    /// Whether the BGP session of that protocol stands.
    pub fn is_established(&self, protocol: &str) -> bool {
        self.protocol(protocol).is_ok_and(|(_, info)| info == "Established")
    }

    /// The state of the BFD session with `neighbour`, as in `Up`; none where there is no session.
    pub fn bfd_state(&self, neighbour: IpAddr) -> Option<String> {
        let text = self.command("show bfd sessions").ok()?;
        let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let found = lines.find(|words| words.first().and_then(|word| word.parse().ok()) == Some(neighbour))?;
        found.get(2).map(|word| (*word).to_owned())
    }

    /// End it where it still runs, start it again with the configuration it had last, wait until it answers.
    pub fn start_again(&mut self) -> Result<(), LabError> {
        self.daemon.start_again()?;
        self.wait_until_ready()
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("bird.ctl")
    }

    fn wait_until_ready(&self) -> Result<(), LabError> {
        self.daemon.process.wait_until("an answer on its control socket", READY_DEADLINE, || {
            self.command("show status").ok().filter(|text| text.contains("up and running")).map(|_| ())
        })
    }
}

impl BirdBuilder {
    /// Add to its configuration.
    pub fn config(mut self, text: &str) -> BirdBuilder {
        self.text.push_str(text);
        self.text.push('\n');
        self
    }

    /// Write the configuration, start it, wait until it answers on its control socket. It logs to its output.
    pub fn start(self) -> Result<Bird, LabError> {
        let folder = self.namespace.lab().sub_folder(&format!("bird-{}", self.namespace.name()))?;
        let of = |name: &str| folder.join(name).to_string_lossy().into_owned();
        write(&folder.join("bird.conf"), &with_log(&self.text))?;
        let program = self
            .namespace
            .program("bird")
            .args(["-f", "-c", &of("bird.conf"), "-s", &of("bird.ctl"), "-P", &of("bird.pid")])
            .folder(&folder)
            .niceness(NICENESS);
        let daemon = Daemon::start("bird", &self.namespace, program)?;
        let bird = Bird { daemon, namespace: self.namespace, folder };
        bird.wait_until_ready()?;
        Ok(bird)
    }
}

impl Deref for Bird {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

impl DerefMut for Bird {
    fn deref_mut(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}

fn with_log(text: &str) -> String {
    format!("log stderr all;\n{text}")
}

/// One question over the control socket. A line of the answer is `CODE-text` where more follow, `CODE text` where it is
/// the last, and ` text` where it has the code of the line before.
fn ask(socket: &Path, command: &str) -> Result<String, LabError> {
    let doing = || format!("asking bird: {command}");
    let mut stream = UnixStream::connect(socket).map_err(LabError::io(doing()))?;
    stream.set_read_timeout(Some(COMMAND_DEADLINE)).map_err(LabError::io(doing()))?;
    stream.write_all(format!("{command}\n").as_bytes()).map_err(LabError::io(doing()))?;
    let mut lines = BufReader::new(stream.take(ANSWER_BYTES_MAX as u64)).lines();
    let mut next = || lines.next().unwrap_or_else(|| Err(std::io::ErrorKind::UnexpectedEof.into()));
    // It greets first.
    next().map_err(LabError::io(doing()))?;
    let mut answer = String::new();
    loop {
        let line = next().map_err(LabError::io(doing()))?;
        let code = line.get(..4).and_then(|code| code.parse::<u16>().ok());
        let text = line.get(if code.is_some() { 5.. } else { 1.. }).unwrap_or_default();
        answer.push_str(text);
        answer.push('\n');
        match code {
            Some(code) if line.as_bytes().get(4) == Some(&b' ') => {
                return if code < CODE_ERROR_MIN {
                    Ok(answer)
                } else {
                    Err(LabError::Failed { command: doing(), status: format!("code {code}"), output: answer })
                };
            }
            _ => {}
        }
    }
}

fn parse_routes(text: &str) -> Vec<BirdRoute> {
    let mut routes: Vec<BirdRoute> = Vec::new();
    let (mut table, mut prefix) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("Table ") {
            table = name.trim_end_matches(':').to_owned();
        } else if let Some(detail) = line.strip_prefix('\t') {
            let Some(route) = routes.last_mut() else { continue };
            if let Some(via) = detail.strip_prefix("via ") {
                route.via.push(via.to_owned());
            } else if let Some((name, value)) = detail.split_once(": ") {
                route.attributes.push((name.to_owned(), value.to_owned()));
            }
        } else if let Some((before, after)) = line.split_once(" [") {
            // PREFIX unicast [PROTOCOL TIME] * (100) [AS65010i]; further routes of a prefix begin with spaces.
            let mut words = before.split_whitespace();
            if !before.starts_with(' ') {
                prefix = words.next().unwrap_or_default().to_owned();
            }
            let protocol = after.split_whitespace().next().unwrap_or_default().to_owned();
            let best = after.split_once("] ").is_some_and(|(_, flags)| flags.starts_with('*'));
            routes.push(BirdRoute {
                table: table.clone(),
                prefix: prefix.clone(),
                protocol,
                best,
                ..BirdRoute::default()
            });
        }
    }
    routes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read() {
        let text = "Table master4:\n192.0.2.0/24         unicast [edge1 03:00:00.000] * (100) [AS65010i]\n\tvia 10.1.0.2 on \
                    edge1\n\tType: BGP univ\n\tBGP.as_path: 65010 65010\n\tBGP.community: (65010,100) (65010,200)\n                     \
                    unicast [edge2 03:00:00.000] (100) [AS65010i]\n\tvia 10.2.0.2 on edge2\n\nTable master6:\n";
        let routes = parse_routes(text);
        assert_eq!(routes.len(), 2, "{routes:?}");
        let [first, second] = [&routes[0], &routes[1]];
        assert_eq!((first.table.as_str(), first.prefix.as_str(), first.best), ("master4", "192.0.2.0/24", true));
        assert_eq!(first.attribute("BGP.as_path"), Some("65010 65010"));
        assert_eq!(first.via, ["10.1.0.2 on edge1"]);
        assert_eq!((second.prefix.as_str(), second.protocol.as_str(), second.best), ("192.0.2.0/24", "edge2", false));
    }
}
