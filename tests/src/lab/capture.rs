//! Captures by tshark, kept only when the lab fails.

use std::fs;

use anyhow::ensure;

use super::{Lab, Namespace, SHORT, wait_for};

pub(super) fn start(lab: &Lab, namespace: &Namespace, interface: &str) -> anyhow::Result<()> {
    let label = format!("{}-{interface}", namespace.name());
    let file = lab.directory().join(format!("{label}.pcapng"));
    let mut command = namespace.command("tshark");
    command.args(["-q", "-n", "-i", interface, "-w"]).arg(&file);
    let process = lab.spawn(&format!("{label}.tshark"), command)?;
    lab.state().add_capture(file.clone());
    wait_for(SHORT, "tshark to capture", || {
        ensure!(
            process.status()?.is_none(),
            "tshark ended: {}",
            process.log_tail()
        );
        // The file's head is written once the capture runs.
        ensure!(fs::metadata(&file)?.len() > 0, "its file is empty");
        Ok(())
    })
}
