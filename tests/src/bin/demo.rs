//! `cargo xtask demo`: three routers, two hosts, real packets.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser;
use forwarder_tests::demo::{self, Options};

/// Shows the forwarder at work in network namespaces: routes learnt by RIP,
/// millions of frames forwarded in XDP and, for comparison, by the kernel, a
/// link that is cut, and a clean stop. Needs root; leaves nothing behind.
#[derive(Parser)]
#[command(name = "cargo xtask demo")]
struct Arguments {
    /// Print one JSON object on stdout instead of the summary.
    #[arg(long)]
    json: bool,
    /// Frames each way of forwarding has to carry, in all.
    #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u32).range(1000..))]
    frames: u32,
    /// Cuts of the link, for each of the two ways to cut it.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    cuts: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        frames: arguments.frames,
        cuts: arguments.cuts,
    };
    let results = demo::run(&options);
    let text = if arguments.json {
        format!("{}\n", results.json())
    } else {
        results.summary()
    };
    // A reader that has gone away has seen enough.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    if results.ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
