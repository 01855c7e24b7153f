//! Log lines go to stderr; under systemd without the time, which the journal has.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;

use super::args::{Arguments, Command};

/// Starts logging: the daemon tells what it does, the other verbs only what
/// goes wrong.
pub(super) fn start(arguments: &Arguments) {
    let quiet = if matches!(arguments.command, Command::Run(_)) {
        "info"
    } else {
        "warn"
    };
    let level = match arguments.verbose {
        0 => quiet,
        1 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let builder = SubscriberBuilder::default()
        .with_env_filter(filter)
        .with_target(arguments.verbose > 0)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        builder.without_time().init();
    } else {
        builder.init();
    }
}
