//! The binary `forwarder`.

use std::process::ExitCode;

fn main() -> ExitCode {
    forwarder::cli::main()
}
