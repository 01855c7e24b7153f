//! What only the guests of `cargo xtask test vm` have: four virtio network
//! cards, eth0 cabled to eth1 and eth2 to eth3, and pktgen. Elsewhere these
//! tests are left out by `.config/nextest.toml`, and skip when asked for.

mod pktgen;
mod virtio;
