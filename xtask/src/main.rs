//! The project's own commands: `cargo xtask setup | build | demo | bench | test`.
//!
//! One file a verb, plain `std::process::Command`: what a verb does is what
//! one would type, so a reader can take any line of it to a shell. The verbs
//! that need tools call [`setup::ensure`] first, so a fresh clone needs none
//! of them to be run by hand.
#![expect(clippy::print_stdout, reason = "a command-line tool's own output")]

mod bench;
mod build;
mod demo;
mod setup;
mod shell;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what building and testing need, and say why (Debian 12, as root)
    Setup,
    /// Build the release binary target/release/forwarder
    Build,
    /// Three routers in network namespaces: converge, forward, compare, cut, stop
    Demo {
        /// Handed to the demo (`--json`, `--help`)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Measure lookups, forwarding, route changes, RIP beside their alternatives
    Bench {
        /// Handed to `forwarder bench`: forward (the default), fib, program; or rip;
        /// and what they take (`--json`, `--help`)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Format, lints, repository checks and tests; the last line counts them
    Test {
        /// Only this group, without lints and checks
        group: Option<test::Group>,
        /// Only tests whose name contains this, without lints and checks
        #[arg(long)]
        filter: Option<String>,
        /// For `vm`: only this kernel
        #[arg(long)]
        kernel: Option<test::Series>,
    },
}

fn main() -> ExitCode {
    let result = match Args::parse().verb {
        Verb::Setup => setup::run(),
        Verb::Build => build::run(),
        Verb::Demo { args } => demo::run(&args),
        Verb::Bench { args } => bench::run(&args),
        Verb::Test {
            group,
            filter,
            kernel,
        } => return test::run(group, filter.as_deref(), kernel),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shell::complain(&error);
            ExitCode::FAILURE
        }
    }
}
