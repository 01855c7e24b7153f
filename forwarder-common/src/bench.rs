//! What the traffic programs (`forwarder-bench-xdp`) and their loader share.
//!
//! Apart from [`crate::abi`]: these maps live as long as one measurement and
//! are never pinned, so nothing has to stay compatible with them.

/// Bytes that the generator writes into every frame: Ethernet, IPv4 and UDP
/// headers, six bytes of padding, and the frame's number.
pub const GENERATED: usize = 56;
/// 64-bit words of the header template, up to the frame's number.
pub const TEMPLATE_WORDS: usize = 6;

/// Offset of the IPv4 header in an untagged frame.
pub const IP: usize = 14;
/// Offset of the IPv4 header checksum.
pub const IP_CHECKSUM: usize = IP + 10;
/// Offset of the IPv4 destination.
pub const IP_DESTINATION: usize = IP + 16;
/// Offset of the UDP destination port behind a header without options.
pub const UDP_DESTINATION: usize = IP + 20 + 2;
/// Offset of the frame's number (u64, host order) in the UDP payload.
pub const NUMBER: usize = 48;

/// What the generator writes; map [`map::GENERATOR`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generator {
    /// Start of the frame as it lies in memory; IPv4 destination and header
    /// checksum are zero here and filled in for every frame.
    pub template: [u64; TEMPLATE_WORDS],
    /// Sum of the IPv4 header's words as [`crate::checksum::sum`] makes it.
    pub header_sum: u32,
    /// How many entries of [`map::DESTINATIONS`] are used; at least 1.
    pub destinations: u32,
}

/// Where the generator is; map [`map::GENERATED`], one for each CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generated {
    /// Frames handed to the redirect, which is also the next frame's number.
    pub frames: u64,
    /// Frames that the redirect refused: the egress port is not in the DEVMAP.
    pub refused: u64,
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
    /// Explicit padding.
    pub reserved: [u16; 3],
}

/// What the sink has seen; map [`map::COUNTS`], one for each CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames of the flow with a valid IPv4 header checksum.
    pub frames: u64,
    /// Bytes of those frames, Ethernet header included.
    pub bytes: u64,
    /// Frames of the flow whose IPv4 header checksum was wrong.
    pub damaged: u64,
    /// TTL of the last good frame: tells how many routers it went through.
    pub ttl: u64,
}

/// Names of the maps, as in the object file.
pub mod map {
    /// ARRAY, one [`super::Generator`].
    pub const GENERATOR: &str = "GENERATOR";
    /// ARRAY of u32: IPv4 destinations as they lie in the frame.
    pub const DESTINATIONS: &str = "DESTINATIONS";
    /// PERCPU_ARRAY, one [`super::Generated`].
    pub const GENERATED: &str = "GENERATED";
    /// DEVMAP, entry 0: the interface that generated frames leave by.
    pub const OUT: &str = "OUT";
    /// ARRAY, one [`super::Sink`].
    pub const SINK: &str = "SINK";
    /// PERCPU_ARRAY, one [`super::Counts`].
    pub const COUNTS: &str = "COUNTS";
}

/// Names of the programs, as in the object file.
pub mod program {
    /// Hands every frame up.
    pub const PASS: &str = "pass";
    /// Counts and drops the frames of one flow, hands the others up.
    pub const SINK: &str = "sink";
    /// Writes one frame and redirects it; for `BPF_PROG_TEST_RUN` live frames.
    pub const GENERATE: &str = "generate";
}

const _: () = {
    assert!(size_of::<Generator>() == 8 * TEMPLATE_WORDS + 8);
    assert!(size_of::<Generated>() == 24);
    assert!(size_of::<Sink>() == 8);
    assert!(size_of::<Counts>() == 32);
    assert!(NUMBER == 8 * TEMPLATE_WORDS && NUMBER + 8 == GENERATED);
    assert!(UDP_DESTINATION + 6 <= NUMBER);
};

#[cfg(feature = "user")]
mod pod {
    //! The loader's side: aya copies these as bytes.
    #![expect(unsafe_code, reason = "aya's Pod is an unsafe marker trait")]
    use super::{Counts, Generated, Generator, Sink};

    macro_rules! pod {
        ($($name:ty),* $(,)?) => { $(
            // SAFETY: repr(C), Copy, no padding (sizes asserted above) and
            // every bit pattern is valid.
            unsafe impl aya::Pod for $name {}
        )* };
    }

    pod!(Generator, Generated, Sink, Counts);
}
