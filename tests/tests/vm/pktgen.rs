//! The kernel's packet generator: one flow of UDP datagrams of 64-byte frames.
//! Interface: linux/Documentation/networking/pktgen.rst.

use std::fs;

use anyhow::Context as _;
use forwarder_tests::lab::Namespace;

/// The TTL of its packets (linux/net/core/pktgen.c).
pub(crate) const TTL: u8 = 32;

/// One run.
pub(crate) struct Flow<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) interface: &'a str,
    pub(crate) source: &'a str,
    pub(crate) destination: &'a str,
    /// MAC address of the next hop.
    pub(crate) next_hop: &'a str,
    pub(crate) packets: u64,
    /// From one packet to the next; 0 is as fast as it can.
    pub(crate) nanoseconds: u64,
}

impl Flow<'_> {
    /// Sends the flow; returns what pktgen says of it.
    pub(crate) fn send(&self) -> anyhow::Result<String> {
        self.write("kpktgend_0", "rem_device_all")?;
        self.write("kpktgend_0", &format!("add_device {}", self.interface))?;
        for line in self.settings() {
            self.write(self.interface, &line)?;
        }
        // Comes back when the last one is sent.
        self.write("pgctrl", "start")?;
        let report = self
            .namespace
            .read_proc(&format!("/proc/net/pktgen/{}", self.interface))?;
        self.write("kpktgend_0", "rem_device_all")?;
        let from_result = report.split_once("Result:").map(|(_, rest)| rest.trim());
        let result = from_result.with_context(|| format!("no result in {report}"))?;
        Ok(result.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    fn settings(&self) -> [String; 8] {
        let Flow {
            source,
            destination,
            next_hop,
            packets,
            nanoseconds,
            ..
        } = self;
        [
            format!("count {packets}"),
            "pkt_size 60".to_owned(),
            format!("delay {nanoseconds}"),
            format!("src_min {source}"),
            format!("src_max {source}"),
            format!("dst {destination}"),
            format!("dst_mac {next_hop}"),
            "flag NO_TIMESTAMP".to_owned(),
        ]
    }

    fn write(&self, file: &str, line: &str) -> anyhow::Result<()> {
        // /proc/net would be the process's, not the thread's.
        let path = format!("/proc/thread-self/net/pktgen/{file}");
        self.namespace
            // Some kernels take the last byte off, whatever it is.
            .enter(|| {
                fs::write(&path, format!("{line}\n"))
                    .with_context(|| format!("writing {line} to {path}"))
            })
    }
}
