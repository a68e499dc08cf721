//! The log: structured, on standard error, as text or JSON.

use std::io::IsTerminal as _;

use config::LogFormat;
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// The environment variable that sets what is logged.
const FILTER_VARIABLE: &str = "PARAPET_LOG";

pub(crate) fn start(format: LogFormat) -> Result<(), Failure> {
    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(text) => EnvFilter::try_new(&text)
            .map_err(|why| Failure::Configuration(format!("{FILTER_VARIABLE}={text:?} is no log filter: {why}")))?,
        Err(_) => EnvFilter::new("info"),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    done.map_err(|why| Failure::Runtime(format!("cannot start the log: {why}")))
}
