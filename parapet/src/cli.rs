//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use config::{DefenceMode, KernelMode, Mode, Prefix, ShortForm};

use crate::defend::{AllowArguments, BlockArguments, KnownGoodArguments};
use crate::drain::{DrainArguments, UndrainArguments};
use crate::show::anycast::AnycastArguments;
use crate::show::arguments::{CheckZonesArguments, ZonesArguments};
use crate::show::defences::{DefencesArguments, ExplainSourceArguments};
use crate::show::top::TopArguments;

const TOP_EXAMPLES: &str = "\
Examples:
  One edge before one origin, without a file:
    parapet run --origin 192.0.2.53 --zone example.com --listen 127.0.0.1:5300 --state ./state
  Look at it:
    parapet zones --state ./state
    dig @127.0.0.1 -p 5300 example.com SOA
  A machine of a network that one file describes:
    parapet check network.toml
    parapet run --config network.toml --node ams-1
  Throw out what all machines have cached of a name:
    parapet purge www.example.com --subtree --all --config network.toml
  Take a machine out of anycast for its maintenance, and back:
    parapet drain --wait --reason 'kernel update'
    parapet undrain --wait
  In a flood: who asks for what, what becomes of one source, and what you know better
    parapet top
    parapet explain-source 192.0.2.66
    parapet block 192.0.2.0/24 --for 10m

Exit codes: 0 done, 1 could not be done, 2 wrong configuration or usage.";

const RUN_EXAMPLES: &str = "\
Examples:
  With a file:
    parapet run --config /etc/parapet/network.toml --node ams-1
  Without a file: two origins, two zones, transfers signed with a key
    tsig-keygen transfer > transfer.key
    parapet run --origin 192.0.2.53 --origin '[2001:db8::53]:5353' \\
        --tsig-key transfer.key --zone example.com --zone example.net \\
        --listen 0.0.0.0:53 --listen '[::]:53' --state /var/lib/parapet

  Without a file: a cache before an origin that allows no transfers, every zone of a catalog
    parapet run --origin 192.0.2.53 --zone example.com --mode on-demand \\
        --listen 127.0.0.1:5300 --state ./state
    parapet run --origin 192.0.2.53 --catalog catalog.example --listen 127.0.0.1:5300 --state ./state

At the origin (BIND), let the edge transfer the zone and notify it of changes:
    include \"transfer.key\";
    zone \"example.com\" {
        type primary; file \"example.com.db\";
        allow-transfer { key transfer; }; also-notify { 192.0.2.1; };
    };

Signals: SIGHUP reads the file again, and so does a change of the file (where the node has delay_s: once
it has lain there for so long);
SIGTERM and SIGINT stop gracefully, a second one at once.
Log level: the environment variable PARAPET_LOG, such as `debug` or `origin_sync=debug,info`.";

const CHECK_EXAMPLES: &str = "\
Examples:
    parapet check network.toml
    parapet check network.toml --node ams-1 --json

Everything that is wrong is printed at once, one line each:
    FILE:LINE:COLUMN: error: ITEM: found …; expected …
Exit codes: 0 the file is good, 2 it is not.";

const SHOW_EXAMPLES: &str = "\
The running node is found by its control socket: --control PATH, or --state DIR for
DIR/control.sock, or --config FILE with --node NAME.
Without any of them: /var/lib/parapet/control.sock.";

const PURGE_EXAMPLES: &str = "\
Examples:
  On this machine's node:
    parapet purge www.example.com
  A name and all below it, on all nodes (each needs a [node.NAME.api] in the file):
    parapet purge example.com --subtree --all --config /etc/parapet/network.toml

Once a node has acknowledged, it gives nobody what it had cached. Zones that are no caches
have nothing to purge; `parapet fill` fetches them anew. Purging twice does no harm.
Exit codes: 0 every node has acknowledged, 1 one has not, 2 wrong configuration or usage.";

const FILL_EXAMPLES: &str = "\
Examples:
  On this machine's node:
    parapet fill example.com
  On all nodes (each needs a [node.NAME.api] in the file):
    parapet fill example.com --all --config /etc/parapet/network.toml --json

A full copy is fetched whole, whatever its serial, and the answer is what came of it. Of a zone
that is filled on demand, what the cache has is fetched again. Filling twice does no harm.
Exit codes: 0 every node has acknowledged, 1 one has not, 2 wrong configuration or usage.";

const RELOAD_EXAMPLES: &str = "\
Examples:
    parapet reload
  On all nodes (each needs a [node.NAME.api] in the file):
    parapet reload --all --config /etc/parapet/network.toml

A node reads its file by itself when that changes, and at SIGHUP; this also says what came of it.
On a node with delayed input (delay_s) a changed file waits until it has lain there, unchanged, for
so long; SIGHUP and this command don't shorten that, --now does. `parapet fill ZONE` does so for a zone.
Exit codes: 0 it is in force or waits for its time, 1 a node did not answer, 2 it is wrong, or the usage.";

/// An edge DNS network in one binary: your name servers stay hidden, the edges answer for them.
#[derive(Debug, Parser)]
#[command(name = "parapet", version, after_long_help = TOP_EXAMPLES, after_help = "More: parapet --help, parapet COMMAND --help")]
#[command(arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node: every role that the file gives it, or one edge described by the command line.
    Run(RunArguments),
    /// Check a network file and say everything that is wrong with it.
    Check(CheckArguments),
    /// Ask a running node how it is.
    Status(ShowArguments),
    /// Ask a running node for its zones, those with problems first; with a zone's name, for everything about it.
    Zones(ZonesArguments),
    /// Check that every zone is fresh, as Nagios, Icinga and cron have it.
    CheckZones(CheckZonesArguments),
    /// Forget what is cached of a name, on one node or on all.
    Purge(PurgeArguments),
    /// Fetch a zone now, on one node or on all.
    Fill(FillArguments),
    /// Have a running node read its network file again.
    Reload(ReloadArguments),
    /// Ask a running node what it announces by BGP, to whom, and why not.
    Anycast(AnycastArguments),
    /// Withdraw a node's routes, and keep them withdrawn until `undrain`, over restarts too.
    Drain(DrainArguments),
    /// Let a drained node announce its routes again, once its health allows.
    Undrain(UndrainArguments),
    /// Show who asks for what now, and what becomes of it, like top.
    Top(TopArguments),
    /// Say who a source is, and why it is answered, slipped or dropped now.
    ExplainSource(ExplainSourceArguments),
    /// Show how a node defends itself against floods, or change that.
    Defences(DefencesArguments),
    /// Answer a source no more, for a time or until it is taken back.
    Block(BlockArguments),
    /// Never limit a source.
    Allow(AllowArguments),
    /// Show, list, export or take over sources that are known to be good.
    KnownGood(KnownGoodArguments),
    /// The daemon starts it: keeps addresses on lo until its standard input, a socket, closes.
    #[command(hide = true)]
    KeepAddresses(KeepAddressesArguments),
}

#[derive(Debug, Args)]
#[command(after_long_help = RUN_EXAMPLES)]
#[command(group = ArgGroup::new("form").required(true).args(["config", "origin"]))]
#[command(group = ArgGroup::new("served").multiple(true).args(["zone", "catalog"]))]
pub(crate) struct RunArguments {
    /// The network file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["origin", "zone", "catalog", "mode", "pull_interval_s", "listen", "state", "tsig_key", "control", "metrics", "user", "workers", "lanes", "log", "defences", "allow"])]
    pub(crate) config: Option<PathBuf>,

    /// This machine's name in the network file; may be left out if the file has only one. In the short form: any name
    /// [default: edge].
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,

    /// Short form: an origin, the hidden primary; may be repeated.
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = config::parse_address, requires_all = ["served", "listen", "state"])]
    origin: Vec<SocketAddr>,

    /// Short form: a zone to answer for; may be repeated.
    #[arg(long, value_name = "NAME", value_parser = parse_zone)]
    zone: Vec<String>,

    /// Short form: a catalog zone (RFC 9432), whose members are answered for; may be repeated.
    #[arg(long, value_name = "NAME", value_parser = parse_zone)]
    catalog: Vec<String>,

    /// Short form: how the zones are filled [default: push].
    #[arg(long, value_name = "MODE", value_enum)]
    mode: Option<ModeArgument>,

    /// Short form: in mode pull, the time between two fetches [default: 300].
    #[arg(long, value_name = "SECONDS", requires = "mode")]
    pull_interval_s: Option<u32>,

    /// Short form: an address to answer at, over UDP and TCP; may be repeated.
    #[arg(long, value_name = "ADDR:PORT", value_parser = config::parse_listen_address)]
    listen: Vec<SocketAddr>,

    /// Short form: the folder that keeps the zones across restarts.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Short form: the key that signs requests to the origins, in the format of BIND's tsig-keygen.
    #[arg(long, value_name = "FILE")]
    tsig_key: Option<PathBuf>,

    /// Short form: the control socket [default: control.sock in the state folder].
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,

    /// Short form: where to serve Prometheus metrics, at /metrics.
    #[arg(long, value_name = "ADDR:PORT", value_parser = config::parse_listen_address)]
    metrics: Option<SocketAddr>,

    /// Short form: whether hot answers are given by a program in the kernel (XDP) [default: auto].
    #[arg(long, value_enum)]
    lanes: Option<LanesArgument>,

    /// Short form: the user to become once the sockets are bound.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// Short form: threads that answer over UDP; 0 means one per core.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    workers: usize,

    /// Short form: the form of the log on standard error.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = LogArgument::Text)]
    log: LogArgument,

    /// Short form: how far the defences against floods go [default: on].
    #[arg(long, value_enum, value_name = "MODE")]
    defences: Option<DefencesArgument>,

    /// Short form: sources that are never limited; may be repeated.
    #[arg(long, value_name = "PREFIX", value_parser = parse_prefix)]
    allow: Vec<Prefix>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeArgument {
    /// A full copy, fetched at once on NOTIFY.
    Push,
    /// A full copy, fetched at an interval.
    Pull,
    /// A cache of what was asked for.
    OnDemand,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LanesArgument {
    /// By the kernel lane where it is to be had, and by sockets.
    Auto,
    /// By sockets alone, one per worker and address.
    Sockets,
    /// By the kernel lane and by sockets; without it the node does not start.
    Kernel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogArgument {
    /// A line for people.
    Text,
    /// A JSON object per line.
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DefencesArgument {
    /// Nothing is looked at.
    Off,
    /// Everything is counted as it would be; everybody is answered.
    Observe,
    /// What the filters say is done.
    On,
}

#[derive(Debug, Args)]
#[command(after_long_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArguments {
    /// The network file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Also check that the file has this node.
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,

    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_long_help = SHOW_EXAMPLES)]
pub(crate) struct ShowArguments {
    /// The node's control socket.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["state", "config"])]
    pub(crate) control: Option<PathBuf>,

    /// The node's state folder.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub(crate) state: Option<PathBuf>,

    /// The network file that the node runs with.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The node's name in that file; may be left out if it has only one.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(crate) node: Option<String>,

    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_long_help = PURGE_EXAMPLES)]
pub(crate) struct PurgeArguments {
    /// The name whose cached answers are forgotten.
    #[arg(value_name = "NAME", value_parser = parse_zone)]
    pub(crate) name: String,

    /// All names below it too.
    #[arg(long)]
    pub(crate) subtree: bool,

    #[command(flatten)]
    pub(crate) order: OrderArguments,
}

#[derive(Debug, Args)]
#[command(after_long_help = FILL_EXAMPLES)]
pub(crate) struct FillArguments {
    /// The zone to fetch.
    #[arg(value_name = "ZONE", value_parser = parse_zone)]
    pub(crate) zone: String,

    #[command(flatten)]
    pub(crate) order: OrderArguments,
}

#[derive(Debug, Args)]
#[command(after_long_help = RELOAD_EXAMPLES)]
pub(crate) struct ReloadArguments {
    /// A newer file counts at once, also on a node whose input is delayed (delay_s).
    #[arg(long)]
    pub(crate) now: bool,

    #[command(flatten)]
    pub(crate) order: OrderArguments,
}

#[derive(Debug, Args)]
pub(crate) struct OrderArguments {
    #[command(flatten)]
    pub(crate) show: ShowArguments,

    /// All nodes of the network file, by their HTTP APIs.
    #[arg(long, requires = "config", conflicts_with = "node")]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct KeepAddressesArguments {
    /// The node's state folder, for the record of what was put on lo.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,

    /// The user to become.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,

    /// The addresses.
    #[arg(value_name = "ADDR")]
    pub(crate) addresses: Vec<IpAddr>,
}

pub(crate) fn parse_zone(text: &str) -> Result<String, String> {
    config::normalise_domain_name(text).map_err(|why| format!("expected {why}"))
}

pub(crate) fn parse_prefix(text: &str) -> Result<Prefix, String> {
    text.parse().map_err(|why| format!("expected {why}"))
}

impl RunArguments {
    /// The short form, for when there is no file.
    pub(crate) fn into_short_form(self) -> ShortForm {
        let Self {
            node,
            origin,
            zone,
            catalog,
            mode,
            pull_interval_s,
            listen,
            state,
            tsig_key,
            control,
            metrics,
            lanes,
            user,
            workers,
            log,
            defences,
            allow,
            ..
        } = self;
        ShortForm {
            node: node.unwrap_or_else(|| "edge".to_owned()),
            origins: origin,
            zones: zone,
            catalogs: catalog,
            mode: match mode {
                None | Some(ModeArgument::Push) => Mode::Push,
                Some(ModeArgument::Pull) => Mode::Pull,
                Some(ModeArgument::OnDemand) => Mode::OnDemand,
            },
            pull_interval_s,
            listen,
            // The command line requires it with --origin.
            state_dir: state.unwrap_or_default(),
            tsig_key,
            control,
            metrics,
            user,
            workers,
            kernel: match lanes {
                None => KernelMode::default(),
                Some(LanesArgument::Auto) => KernelMode::Auto,
                Some(LanesArgument::Sockets) => KernelMode::Off,
                Some(LanesArgument::Kernel) => KernelMode::Required,
            },
            log_json: log == LogArgument::Json,
            defences: match defences {
                Some(DefencesArgument::Off) => DefenceMode::Off,
                Some(DefencesArgument::Observe) => DefenceMode::Observe,
                None | Some(DefencesArgument::On) => DefenceMode::On,
            },
            allow,
        }
    }
}
