//! The `parapet` binary: command line, starting roles, wiring, control socket, privileges. It decides nothing about DNS.

mod address_keeper;
mod api;
mod check;
mod cli;
mod control;
mod daemon;
mod defend;
mod drain;
mod failure;
mod http;
mod in_force;
mod logging;
mod metrics;
mod node_view;
mod nodes;
mod order;
mod privileges;
mod reload;
mod services;
mod show;
mod source;
mod state_file;
mod state_folder;
mod target;
mod watch;
mod zones_summary;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};

/// The exit code of monitoring plugins for what could not be found out.
const PLUGIN_UNKNOWN: u8 = 3;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // A plugin that was called wrongly has found nothing out.
        Err(wrong) if wrong.use_stderr() && std::env::args().nth(1).as_deref() == Some("check-zones") => {
            let _ = wrong.print();
            return ExitCode::from(PLUGIN_UNKNOWN);
        }
        Err(wrong) => wrong.exit(),
    };
    let outcome = match cli.command {
        Command::Run(arguments) => daemon::run(arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Status(arguments) => show::status(&arguments),
        Command::Zones(arguments) => show::zones(&arguments),
        Command::CheckZones(arguments) => return show::check_zones(&arguments),
        Command::Purge(arguments) => order::purge(&arguments),
        Command::Fill(arguments) => order::fill(&arguments),
        Command::Anycast(arguments) => show::anycast::anycast(&arguments),
        Command::Reload(arguments) => order::reload(&arguments),
        Command::Drain(arguments) => drain::drain(&arguments),
        Command::Undrain(arguments) => drain::undrain(&arguments),
        Command::Top(arguments) => show::top::top(&arguments),
        Command::ExplainSource(arguments) => show::defences::explain_source(&arguments),
        Command::Defences(arguments) => show::defences::defences(&arguments),
        Command::Block(arguments) => defend::block(&arguments),
        Command::Allow(arguments) => defend::allow(&arguments),
        Command::KnownGood(arguments) => defend::known_good(&arguments),
        Command::KeepAddresses(arguments) => address_keeper::keep(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
