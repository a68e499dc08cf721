//! `parapet check`: everything that is wrong with a network file, or a line that it is good.

use config::{Diagnostic, Network, Parsed};
use serde_json::json;

use crate::cli::CheckArguments;
use crate::failure::Failure;
use crate::source::{LoadError, choose_node, diagnostic_to_json, load_network};

pub(crate) fn check(arguments: &CheckArguments) -> Result<(), Failure> {
    let outcome = load_network(&arguments.file).and_then(|parsed| match &arguments.node {
        Some(node) => choose_node(&parsed.value, &arguments.file, Some(node)).map(|_| parsed),
        None => Ok(parsed),
    });
    if arguments.json { report_json(arguments, outcome) } else { report_text(arguments, outcome) }
}

fn report_text(arguments: &CheckArguments, outcome: Result<Parsed<Network>, LoadError>) -> Result<(), Failure> {
    let Parsed { value: network, warnings } = outcome?;
    for warning in &warnings {
        eprintln!("{warning}");
    }
    println!("{}: good ({})", arguments.file.display(), summary(&network).join(", "));
    Ok(())
}

fn report_json(arguments: &CheckArguments, outcome: Result<Parsed<Network>, LoadError>) -> Result<(), Failure> {
    let to_json = |diagnostics: &[Diagnostic]| diagnostics.iter().map(diagnostic_to_json).collect::<Vec<_>>();
    let (good, diagnostics, error) = match &outcome {
        Ok(parsed) => (true, to_json(&parsed.warnings), None),
        Err(LoadError::Wrong(diagnostics)) => (false, to_json(&diagnostics.0), None),
        Err(other) => (false, Vec::new(), Some(other.to_string())),
    };
    let report = json!({ "file": arguments.file, "good": good, "error": error, "diagnostics": diagnostics });
    println!("{report:#}");
    if good { Ok(()) } else { Err(Failure::Said) }
}

fn summary(network: &Network) -> Vec<String> {
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    vec![
        count(network.nodes.len(), "node"),
        count(network.zones.len(), "zone"),
        count(network.origins.len(), "origin"),
        count(network.keys.len(), "key"),
    ]
}
