//! The kernel's own lookups that find no route: programs at the tracepoints that
//! such lookups pass, of this network namespace's packets, received and its own.
//!
//! Loaded and attached by `route_events`, while somebody listens, and apart from
//! the fast path's object. Where a kernel cannot run them (no BTF, no tracepoints,
//! fields that it does not have), the fast path's misses are all that is told of.
//! Why these places: ADR 0025.

use std::io;
use std::net::IpAddr;

use anyhow::Context as _;
use aya::maps::{Array, MapData, MapError, PerCpuArray, RingBuf};
use aya::programs::BtfTracePoint;
use aya::{Btf, Ebpf};
use forwarder_common::abi::{Miss, PuntLimit, PuntState, map, program};
use tokio::io::unix::AsyncFd;

use super::events::{address, register};
use super::kernel_layout;
use super::object::{LoadError, netns_inum, object_error};
use super::tables::punt_limit;

/// The object file that `build.rs` made.
static PROGRAMS: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/forwarder-misses"));

/// In the order of their attachment: what others rely on comes first.
const TRACEPOINTS: [&str; 5] = [
    program::SOFTIRQ_ENTRY,
    program::SOFTIRQ_EXIT,
    program::KFREE_SKB,
    program::FIB_TABLE_LOOKUP,
    program::FIB6_TABLE_LOOKUP,
];

/// The programs, attached until it is dropped.
pub struct MissHook {
    /// Keeps the programs attached.
    ebpf: Ebpf,
    ring: AsyncFd<RingBuf<MapData>>,
    limit: Array<MapData, PuntLimit>,
    state: PerCpuArray<MapData, PuntState>,
}

impl MissHook {
    /// Loads the programs, of which each CPU tells so many misses a second, and
    /// attaches them: all, or none. It takes a while; called within a runtime, on a
    /// thread that may wait.
    ///
    /// # Errors
    /// What the kernel lacks or refuses.
    pub fn attach(rate: u32) -> anyhow::Result<MissHook> {
        let filter = kernel_layout::miss_filter(netns_inum().map_err(anyhow::Error::msg)?)?;
        let btf = Btf::from_sys_fs().context("reading the kernel's types")?;
        let mut ebpf = Ebpf::load(PROGRAMS).map_err(object_error)?;
        let mut filters: Array<_, _> = taken(&mut ebpf, map::MISS_FILTER)?;
        filters.set(0, filter, 0)?;
        let ring = register(taken(&mut ebpf, map::MISSES)?)?;
        let limit = taken(&mut ebpf, map::MISS_LIMIT)?;
        let state = taken(&mut ebpf, map::MISS_STATE)?;
        let mut hook = MissHook {
            ebpf,
            ring,
            limit,
            state,
        };
        hook.set_rate(rate)?;
        for name in TRACEPOINTS {
            let program: &mut BtfTracePoint = hook.program(name)?;
            let attached = program.load(name, &btf).and_then(|()| program.attach());
            attached.map_err(|source| LoadError::Program { name, source })?;
        }
        Ok(hook)
    }

    fn program(&mut self, name: &'static str) -> Result<&mut BtfTracePoint, LoadError> {
        let program = self.ebpf.program_mut(name);
        program
            .ok_or(LoadError::Missing(name))?
            .try_into()
            .map_err(|source| LoadError::Program { name, source })
    }

    /// Limits what each CPU tells in a second; 0 = no limit.
    pub fn set_rate(&mut self, rate: u32) -> Result<(), MapError> {
        self.limit.set(0, punt_limit(rate), 0)
    }

    /// Waits until something has been written since the last time.
    pub async fn ready(&mut self) -> io::Result<()> {
        self.ring.readable().await?.clear_ready();
        Ok(())
    }

    /// Takes out the next destination; what is no miss of this version is passed over.
    pub fn next_miss(&mut self) -> Option<IpAddr> {
        let ring = self.ring.get_mut();
        loop {
            let item = ring.next()?;
            if let Some(destination) = read(&item) {
                return Some(destination);
            }
        }
    }

    /// Misses that are not told of, on all CPUs since the start: over the limit, or
    /// there was no room in the ring.
    pub fn over_limit(&self) -> u64 {
        let states = self.state.get(&0, 0);
        states.map_or(0, |states| states.iter().map(|state| state.refused).sum())
    }
}

fn taken<T>(ebpf: &mut Ebpf, name: &'static str) -> Result<T, LoadError>
where
    T: TryFrom<aya::maps::Map, Error = MapError>,
{
    let map = ebpf.take_map(name).ok_or(LoadError::Missing(name))?;
    map.try_into()
        .map_err(|source| LoadError::Map { name, source })
}

/// The destination of a [`Miss`], from its bytes.
fn read(bytes: &[u8]) -> Option<IpAddr> {
    let (words, rest) = bytes.as_chunks::<4>();
    let words: &[_; Miss::WORDS] = words.try_into().ok().filter(|_| rest.is_empty())?;
    let [family, destination @ ..] = words.map(u32::from_ne_bytes);
    address(family, destination)
}

#[cfg(test)]
mod tests {
    use super::read;

    fn miss(family: u32, octets: [u8; 16]) -> Vec<u8> {
        [&family.to_ne_bytes(), octets.as_slice()].concat()
    }

    #[test]
    fn a_miss_is_read_whole_and_of_a_known_family() {
        let octets = [203, 0, 113, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let ipv4 = read(&miss(4, octets));
        assert_eq!(ipv4, Some("203.0.113.9".parse().unwrap()));
        let ipv6 = read(&miss(6, octets));
        assert_eq!(ipv6, Some("cb00:7109::1".parse().unwrap()));
        assert_eq!(read(&miss(5, octets)), None);
        assert_eq!(read(&miss(4, octets)[..19]), None);
        assert_eq!(read(&[miss(4, octets), vec![0]].concat()), None);
        assert_eq!(read(&[]), None);
    }
}
