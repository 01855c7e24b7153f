//! `held-lab NAME`: a lab that is held open until somebody kills this process,
//! for the tests of what is left of it then.

use anyhow::Context as _;
use forwarder_tests::lab::{LONG, Lab};

fn main() -> anyhow::Result<()> {
    let name = std::env::args().nth(1).context("no name")?;
    let lab = Lab::new(&name)?;
    let mut sleep = lab.namespace("x")?.command("sleep");
    sleep.arg("1000");
    lab.spawn("sleeper", sleep)?;
    std::thread::sleep(LONG);
    Ok(())
}
