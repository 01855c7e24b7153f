//! What the traffic programs (`forwarder-bench-xdp`) and their loader share.
//!
//! Apart from [`crate::abi`]: these maps live as long as one measurement and
//! are never pinned, so nothing has to stay compatible with them.

/// Bytes that the generator writes into every IPv4 frame: Ethernet, IPv4 and
/// UDP headers, the tag, padding, and the frame's number.
pub const GENERATED: usize = 56;
/// Likewise for IPv6.
pub const GENERATED6: usize = 72;
/// 64-bit words of the header template, up to the frame's number.
pub const TEMPLATE_WORDS: usize = NUMBER / 8;
/// Likewise for IPv6; the template has room for these.
pub const TEMPLATE_WORDS6: usize = NUMBER6 / 8;

/// Offset of the IPv4 header in an untagged frame.
pub const IP: usize = 14;
/// Offset of the IPv4 header checksum.
pub const IP_CHECKSUM: usize = IP + 10;
/// Offset of the IPv4 destination.
pub const IP_DESTINATION: usize = IP + 16;
/// Offset of the UDP destination port behind a header without options.
pub const UDP_DESTINATION: usize = IP + 20 + 2;
/// Offset of the tag (u16, host order) behind the UDP header: [`tag`].
pub const TAG: usize = 42;
/// Offset of the frame's number (u64, host order) in the UDP payload.
pub const NUMBER: usize = 48;
/// Offset of the IPv6 destination in an untagged frame.
pub const IP6_DESTINATION: usize = IP + 24;
/// Offset of the UDP destination port behind an IPv6 header.
pub const UDP6_DESTINATION: usize = IP + 40 + 2;
/// [`TAG`] of an IPv6 frame.
pub const TAG6: usize = 62;
/// [`NUMBER`] of an IPv6 frame.
pub const NUMBER6: usize = 64;

/// What a frame says of its own destination: the last byte of the MAC address
/// that the router has to send it to. 0 = it says nothing.
pub const fn tag(last_byte: u8) -> u16 {
    0x100 | last_byte as u16
}

/// A destination of IPv4 frames; map [`map::DESTINATIONS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// As it lies in the frame.
    pub address: u32,
    /// [`tag`].
    pub tag: u16,
    /// Explicit padding.
    pub reserved: u16,
}

/// A destination of IPv6 frames; map [`map::DESTINATIONS6`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destination6 {
    /// As it lies in the frame.
    pub address: [u32; 4],
    /// [`tag`].
    pub tag: u16,
    /// Explicit padding.
    pub reserved: u16,
}

/// What the generator writes; map [`map::GENERATOR`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generator {
    /// Start of the frame as it lies in memory; destination, tag and IPv4 header
    /// checksum are zero here and filled in for every frame.
    pub template: [u64; TEMPLATE_WORDS6],
    /// Sum of the IPv4 header's words as [`crate::checksum::sum`] makes it.
    pub header_sum: u32,
    /// How many entries of the family's destinations are used; at least 1.
    pub destinations: u32,
    /// Most frames that may be under way to the watched sink; 0 = no limit.
    pub window: u32,
    /// Rows of the sink's counts that this machine's CPUs write.
    pub cpus: u32,
    /// Frames that count as arrived without having been: those that were under
    /// way, or counted by the sink for others, when a run began or was stuck.
    pub forgiven: u64,
    /// Number of the run's first frame, whose departure is noted.
    pub first: u64,
    /// Number of the frame after the run's last, likewise.
    pub end: u64,
}

/// Where the generator is; map [`map::GENERATED`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generated {
    /// Frames handed to the redirect, which is also the next frame's number.
    pub frames: u64,
    /// Frames that the redirect refused: the egress port is not in the DEVMAP.
    pub refused: u64,
    /// Frames that had arrived when the generator last looked.
    pub arrived: u64,
    /// When the run's first frame was made, `bpf_ktime_get_ns`.
    pub started_ns: u64,
    /// When its last frame was made, likewise.
    pub finished_ns: u64,
    /// Index of the next destination.
    pub next: u32,
    /// Explicit padding.
    pub reserved: u32,
}

/// What the sink looks for; map [`map::SINK`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sink {
    /// UDP destination port, in network order as it lies in the frame.
    pub port_be: u16,
    /// Not 0: frames carry a [`tag`], which their destination MAC must match.
    pub tagged: u16,
    /// Explicit padding.
    pub reserved: [u16; 2],
}

/// Rows of [`map::COUNTS`]: CPUs that a sink tells apart.
pub const MAX_CPUS: usize = 256;

/// What the sink has seen on one CPU; map [`map::COUNTS`]. A row fills a cache
/// line, so that counting on one CPU does not slow another down.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames of the flow; of IPv4 those with a valid header checksum.
    pub frames: u64,
    /// Bytes of those frames, Ethernet header included.
    pub bytes: u64,
    /// Frames of the flow whose IPv4 header checksum was wrong.
    pub damaged: u64,
    /// TTL of the last good frame: tells how many routers it went through.
    pub ttl: u64,
    /// Of `frames`, those that were sent to another MAC than their tag says.
    pub misrouted: u64,
    /// Explicit padding to the cache line.
    pub reserved: [u64; 3],
}

/// What a relay does with every frame but ARP; map [`map::RELAY`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relay {
    /// Destination and source MAC of the frames that leave, as in the frame.
    pub macs: [u16; 6],
}

/// Lookups that one run of the programs of `forwarder-lookup-xdp` does.
pub const LOOKUPS_A_RUN: u32 = 64;

/// Where those programs are; map [`map::LOOKUPS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// Index of the next key.
    pub next: u32,
    /// Number of the keys, a power of two, less one.
    pub mask: u32,
    /// 0, which the verifier does not know: makes a key depend on the answer
    /// before.
    pub zero: u32,
    /// Where packets to the keys come in, for the engine `kernel`.
    pub ingress: u32,
    /// One of [`mode`].
    pub mode: u32,
    /// Explicit padding.
    pub reserved: u32,
    /// Keys looked up.
    pub done: u64,
    /// Of these, those with another answer than the key says; [`mode::CHECK`].
    pub wrong: u64,
    /// Keeps the answers from being optimised away.
    pub sum: u64,
}

/// An IPv4 destination and its answer; map [`map::KEYS4`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key4 {
    /// Network order.
    pub address: u32,
    /// The next-hop id; for the engine `kernel` the last byte of the MAC address.
    pub answer: u32,
}

/// An IPv6 destination and its answer; map [`map::KEYS6`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key6 {
    /// Network order.
    pub address: [u32; 4],
    /// As in [`Key4`].
    pub answer: u32,
}

/// What is done with each key.
pub mod mode {
    /// It is read: what the loop costs.
    pub const EMPTY: u32 = 0;
    /// It is looked up once the lookup before has its answer: latency.
    pub const DEPENDENT: u32 = 1;
    /// It is looked up whatever the one before does: throughput.
    pub const INDEPENDENT: u32 = 2;
    /// The answer is compared with the right one.
    pub const CHECK: u32 = 3;
}

/// Names of the maps, as in the object file.
pub mod map {
    /// ARRAY, one [`super::Lookups`].
    pub const LOOKUPS: &str = "LOOKUPS";
    /// ARRAY of [`super::Key4`].
    pub const KEYS4: &str = "KEYS4";
    /// ARRAY of [`super::Key6`].
    pub const KEYS6: &str = "KEYS6";
    /// ARRAY, one [`super::Generator`].
    pub const GENERATOR: &str = "GENERATOR";
    /// ARRAY of [`super::Destination`].
    pub const DESTINATIONS: &str = "DESTINATIONS";
    /// ARRAY of [`super::Destination6`].
    pub const DESTINATIONS6: &str = "DESTINATIONS6";
    /// ARRAY, one [`super::Generated`].
    pub const GENERATED: &str = "GENERATED";
    /// ARRAY_OF_MAPS, entry 0: the counts of the sink that sets the pace.
    pub const WATCHED: &str = "WATCHED";
    /// ARRAY, one [`super::Relay`].
    pub const RELAY: &str = "RELAY";
    /// PROG_ARRAY, entry 0: what receives the frames that are not sent.
    pub const RECEIVER: &str = "RECEIVER";
    /// DEVMAP, entry 0: the interface that frames leave by.
    pub const OUT: &str = "OUT";
    /// ARRAY, one [`super::Sink`].
    pub const SINK: &str = "SINK";
    /// ARRAY of [`super::MAX_CPUS`] [`super::Counts`].
    pub const COUNTS: &str = "COUNTS";
}

/// Names of the constants that are set at load, as in the object file.
pub mod global {
    /// Not 0: frames are received by a port instead of sent.
    pub const RECEIVED: &str = "RECEIVED";
}

/// Names of the programs, as in the object file.
pub mod program {
    /// Hands every frame up.
    pub const PASS: &str = "pass";
    /// Counts and drops the frames of one flow, hands the others up.
    pub const SINK: &str = "sink";
    /// Does what every router has to do, without asking where to.
    pub const RELAY: &str = "relay";
    /// Writes one frame and redirects it; for `BPF_PROG_TEST_RUN` live frames.
    pub const GENERATE: &str = "generate";
    /// Likewise, an IPv6 frame.
    pub const GENERATE6: &str = "generate6";
    /// Looks keys up; in an object of its own, with the router's maps.
    pub const LOOKUPS4: &str = "lookups4";
    /// Likewise for IPv6.
    pub const LOOKUPS6: &str = "lookups6";
}

const _: () = {
    assert!(size_of::<Generator>() == 8 * TEMPLATE_WORDS6 + 40);
    assert!(size_of::<Destination>() == 8);
    assert!(size_of::<Destination6>() == 20);
    assert!(size_of::<Generated>() == 48);
    assert!(size_of::<Lookups>() == 48);
    assert!(size_of::<Key4>() == 8);
    assert!(size_of::<Key6>() == 20);
    assert!(size_of::<Sink>() == 8);
    assert!(size_of::<Counts>() == 64);
    assert!(size_of::<Relay>() == 12);
    assert!(MAX_CPUS.is_power_of_two());
    assert!(NUMBER == 8 * TEMPLATE_WORDS && NUMBER + 8 == GENERATED);
    assert!(NUMBER6 == 8 * TEMPLATE_WORDS6 && NUMBER6 + 8 == GENERATED6);
    assert!(UDP_DESTINATION + 6 == TAG && TAG + 2 <= NUMBER);
    assert!(UDP6_DESTINATION + 6 == TAG6 && TAG6 + 2 <= NUMBER6);
};

#[cfg(feature = "user")]
mod pod {
    //! The loader's side: aya copies these as bytes.
    #![expect(unsafe_code, reason = "aya's Pod is an unsafe marker trait")]
    use super::{
        Counts, Destination, Destination6, Generated, Generator, Key4, Key6, Lookups, Relay, Sink,
    };

    macro_rules! pod {
        ($($name:ty),* $(,)?) => { $(
            // SAFETY: repr(C), Copy, no padding (sizes asserted above) and
            // every bit pattern is valid.
            unsafe impl aya::Pod for $name {}
        )* };
    }

    pod!(
        Generator,
        Generated,
        Destination,
        Destination6,
        Key4,
        Key6,
        Lookups,
        Sink,
        Counts,
        Relay,
    );
}
