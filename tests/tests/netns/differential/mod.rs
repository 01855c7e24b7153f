//! Our program against the kernel's own forwarding: the same frames into both,
//! and the same must come out, of the same ports, byte by byte up to the IP
//! packet's length. What ours hands up its own kernel answers, so that this
//! holds whatever the verdict was; where the two are to differ is listed, with
//! the reason, in [`differs_on_purpose`].

mod sample;
mod twins;
mod wire;

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, ensure};
use forwarder_tests::{lab, numbers};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

use sample::{Packet, Sample, sample};
use twins::{SMALL_MTU, Twins};
use wire::{FAST_MARKERS, Output};

const CASES: u32 = 4_000;

/// A link's MTU.
fn mtu(port: usize) -> usize {
    if port == 2 { SMALL_MTU as usize } else { 1_500 }
}

/// Where ours drops and the kernel would forward; `None` = nowhere.
fn differs_on_purpose(sample: &Sample) -> Option<&'static str> {
    match sample.packet() {
        Packet::V4(frame) => match frame.source.octets()[0] {
            0 => Some("RFC 1812 §5.3.7: no source in 0/8; Linux has taken it since 5.3"),
            240.. => Some("RFC 1812 §5.3.7: no source in 240/4; Linux takes it"),
            _ => None,
        },
        Packet::V6(frame) if OWN6.contains(&frame.source) => {
            Some("our own address as source; Linux looks for that in IPv4 only")
        }
        Packet::V6(frame) if frame.source.is_unspecified() => {
            Some("RFC 4291 §2.5.2: never forwarded; Linux does, by the port it came in on")
        }
        Packet::V6(_) => None,
    }
}

/// Where the engine forwards what the kernel drops: by the helper's answers it
/// cannot tell that a source is a broadcast address, for which the kernel looks
/// where a packet leaves by the port it came in on.
fn forwards_on_purpose(engine: &str, sample: &Sample) -> bool {
    const BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 255);
    engine == "kernel" && matches!(sample.packet(), Packet::V4(frame) if frame.source == BROADCAST)
}

/// The router's addresses.
const OWN6: [Ipv6Addr; 3] = [own6(1), own6(2), own6(3)];

const fn own6(net: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, 1)
}

/// A frame that came out, up to the end of its IP packet.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Comparable {
    /// Answered so many times a second and source: perhaps by one router only.
    limited: bool,
    port: usize,
    bytes: Vec<u8>,
}

/// `None` for a frame whose time is the kernel's own.
fn comparable((port, frame): Output) -> Option<Comparable> {
    let (ethernet, ip) = frame.split_at_checked(14)?;
    let mut ip = ip.to_vec();
    let mut limited = false;
    match (ethernet[12], ethernet[13]) {
        // ARP.
        (8, 6) => return None,
        (8, 0) => {
            ip.truncate(usize::from(u16::from_be_bytes([ip[2], ip[3]])));
            if ip[12..14] == [10, 0] && ip[15] == 1 {
                let icmp = &ip[usize::from(ip[0] & 15) * 4..];
                if icmp.get(24..28).is_some_and(never_answers) {
                    return None;
                }
                // Redirects, and what `ip_error` sends.
                limited = ip[9] == 1 && matches!(icmp, [5, ..] | [3, 0 | 1 | 13, ..]);
                // The identification is drawn at random.
                ip[4..6].fill(0);
                ip[10..12].fill(0);
            }
        }
        (0x86, 0xdd) => {
            ip.truncate(40 + usize::from(u16::from_be_bytes([ip[4], ip[5]])));
            let source: [u8; 16] = ip[8..24].try_into().ok()?;
            let source = Ipv6Addr::from(source);
            let ours =
                OWN6.contains(&source) || source.is_unicast_link_local() || source.is_unspecified();
            if ours && is_own_time6(&ip) {
                return None;
            }
        }
        _ => {}
    }
    Some(Comparable {
        limited,
        port,
        bytes: [ethernet, &ip].concat(),
    })
}

/// Neighbour discovery and multicast listener reports; and Address Unreachable
/// for a neighbour that never answers.
fn is_own_time6(ip: &[u8]) -> bool {
    const ICMPV6: u8 = 58;
    match ip[6] {
        0 => true,
        ICMPV6 => {
            // The type, where a random frame with one of these sources has any.
            ip.get(40).is_some_and(|kind| (130..=143).contains(kind))
                || ip.get(72..88).is_some_and(never_answers)
        }
        _ => false,
    }
}

/// An address on a link that is neither the router's nor a neighbour's: the
/// kernel answers when it has given up, seconds later.
fn never_answers(address: &[u8]) -> bool {
    let on_link = [&[10, 0][..], &LINK6, &[0xfe, 0x80]];
    let short = address.get(8..15).is_none_or(|middle| middle == [0; 7]);
    let known = short && matches!(address.last(), Some(1..=3));
    on_link.iter().any(|prefix| address.starts_with(prefix)) && !known
}

/// 2001:db8:0::/42, where the links are.
const LINK6: [u8; 5] = [0x20, 0x01, 0x0d, 0xb8, 0];

/// Sends one frame to both routers, and compares.
struct Comparison {
    engine: &'static str,
    twins: Twins,
    number: u64,
}

impl Comparison {
    fn compare(&mut self, sample: &Sample) -> anyhow::Result<()> {
        let frame = sample.bytes();
        self.number += 1;
        let (ours, kernels) = (&self.twins.ours, &self.twins.kernels);
        ours.send(sample.port, &frame, self.number)?;
        kernels.send(sample.port, &frame, self.number)?;
        let ours = sorted(ours.receive(self.number).context("our router")?);
        let kernels = sorted(kernels.receive(self.number).context("the kernel's")?);
        if ours.is_empty() && differs_on_purpose(sample).is_some() {
            return Ok(());
        }
        if kernels.is_empty() && forwards_on_purpose(self.engine, sample) {
            return Ok(());
        }
        ensure!(
            are_equal(&ours, &kernels),
            "into port {}: {}\nout of ours: {}\nout of the kernel's: {}",
            sample.port,
            hex(&frame),
            show(&ours),
            show(&kernels)
        );
        Ok(())
    }
}

fn sorted(outputs: Vec<Output>) -> Vec<Comparable> {
    let mut outputs: Vec<_> = outputs.into_iter().filter_map(comparable).collect();
    outputs.sort();
    outputs
}

/// The same; what is limited may be missing in one of them, not differ.
fn are_equal(ours: &[Comparable], kernels: &[Comparable]) -> bool {
    let split = |all: &[Comparable]| {
        let all = all.iter().cloned();
        all.partition::<Vec<_>, _>(|output| output.limited)
    };
    let ((our_limited, ours), (kernels_limited, kernels)) = (split(ours), split(kernels));
    let limited =
        our_limited == kernels_limited || our_limited.is_empty() || kernels_limited.is_empty();
    ours == kernels && limited
}

/// The headers; the payload is always the same.
fn hex(bytes: &[u8]) -> String {
    let head = bytes.iter().take(110);
    let head: String = head.map(|byte| format!("{byte:02x}")).collect();
    format!("{head} ({} bytes)", bytes.len())
}

fn show(outputs: &[Comparable]) -> String {
    let show = |output: &Comparable| format!("\n  port {}: {}", output.port, hex(&output.bytes));
    outputs.iter().map(show).collect()
}

/// Random frames; every reason of `reasons` must have been counted.
fn compare(name: &str, engine: &'static str, reasons: &[&str]) {
    lab::test(name, |lab| {
        let twins = Twins::start(lab, engine)?;
        let seed = numbers::seed("FORWARDER_SEED");
        let config = Config {
            cases: CASES,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(seed),
            ..Config::default()
        };
        let comparison = std::cell::RefCell::new(Comparison {
            engine,
            twins,
            number: 0,
        });
        let result = TestRunner::new(config).run(&sample(), |sample| {
            let result = comparison.borrow_mut().compare(&sample);
            result.map_err(|error| TestCaseError::fail(format!("{error:#}")))
        });
        result.with_context(|| format!("with FORWARDER_SEED={seed}"))?;
        let comparison = comparison.borrow();
        let router = &comparison.twins.router;
        for reason in reasons {
            let count = router.counter(reason)?;
            ensure!(count > 0, "no frame has come to be counted as {reason}");
        }
        let markers = comparison.number * FAST_MARKERS;
        let forwarded = router.counter("forwarded")? - markers;
        ensure!(
            forwarded > u64::from(CASES) / 5,
            "{forwarded} of {CASES} took the fast path"
        );
        Ok(())
    });
}

/// What frames of these kinds come to.
const REASONS: &[&str] = &[
    "truncated",
    "bad-version",
    "bad-header-length",
    "bad-total-length",
    "bad-checksum",
    "martian-source",
    "own-source",
    "ip-options",
    "hop-by-hop",
    "link-local",
    "for-us",
    "not-unicast",
    "not-our-mac",
    "not-ip",
    "arp",
    "ttl-expired",
    "no-route",
    "unreachable",
    "blackhole",
    "unresolved",
    "mtu-exceeded",
    "redirect-due",
];

#[test]
fn what_comes_out_is_what_the_kernel_would_send() {
    compare("differential", "multibit", REASONS);
}

#[test]
fn what_comes_out_by_the_engine_kernel_is_what_the_kernel_would_send() {
    compare("differential-kernel", "kernel", &["for-us", "mtu-exceeded"]);
}
