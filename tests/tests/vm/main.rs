//! What only the guests of `cargo xtask test vm` have: four virtio network
//! cards, eth0 cabled to eth1 and eth2 to eth3, and pktgen. Elsewhere these
//! tests are left out by `.config/nextest.toml`, and skip when asked for.

mod pktgen;
mod veth;
mod virtio;

use forwarder_tests::lab::{self, Lab, skip};

/// A lab in a guest: elsewhere the test is skipped.
fn in_guest(name: &str, body: impl FnOnce(&Lab) -> anyhow::Result<()>) {
    if std::env::var_os("FORWARDER_VM").is_none() {
        return skip(name, "it needs a guest of `cargo xtask test vm`");
    }
    lab::test(name, body);
}
