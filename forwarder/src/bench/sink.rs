//! The far end: counts one flow and drops it.

use std::ops::{AddAssign, Sub};

use aya::maps::{Array, Map, MapData};
use aya::programs::XdpMode;
use aya::{Ebpf, EbpfLoader};
use forwarder_common::bench as abi;

use super::attach::{attach, detach};
use super::{BenchError, OBJECT};

/// A port that counts the datagrams to one UDP port and drops them. All other
/// frames go up, so the host behind it still answers ARP and ping.
///
/// Dropping it detaches the program.
#[derive(Debug)]
pub struct Sink {
    ebpf: Ebpf,
}

/// What a [`Sink`] has counted since it was attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Frames with an intact IP header.
    pub frames: u64,
    /// Bytes of those frames, Ethernet header included.
    pub bytes: u64,
    /// Frames whose IPv4 header checksum was wrong.
    pub damaged: u64,
    /// TTL of the last intact frame; 0 before the first.
    pub ttl: u8,
    /// Of `frames`, those that came by another next hop than their tag says;
    /// 0 where tags are not looked at.
    pub misrouted: u64,
}

impl Sink {
    /// Attaches to an interface of the calling thread's network namespace.
    pub fn attach(interface: &str, udp_port: u16, mode: XdpMode) -> Result<Self, BenchError> {
        let config = abi::Sink {
            port_be: udp_port.to_be(),
            ..abi::Sink::default()
        };
        Self::configured(interface, config, mode)
    }

    /// Likewise, for frames with tags ([`Generator::tagged`](super::Generator)):
    /// counts those that were sent to another MAC address than they say.
    pub fn attach_tagged(
        interface: &str,
        udp_port: u16,
        mode: XdpMode,
    ) -> Result<Self, BenchError> {
        let config = abi::Sink {
            port_be: udp_port.to_be(),
            tagged: 1,
            ..abi::Sink::default()
        };
        Self::configured(interface, config, mode)
    }

    fn configured(interface: &str, config: abi::Sink, mode: XdpMode) -> Result<Self, BenchError> {
        let mut ebpf = EbpfLoader::new().load(OBJECT)?;
        let name = abi::map::SINK;
        let map = ebpf.map_mut(name).ok_or(BenchError::Missing(name))?;
        Array::<_, abi::Sink>::try_from(map)
            .and_then(|mut map| map.set(0, config, 0))
            .map_err(|source| BenchError::Map { name, source })?;
        attach(&mut ebpf, abi::program::SINK, interface, mode)?;
        Ok(Self { ebpf })
    }

    /// What all CPUs have counted so far.
    pub fn count(&self) -> Result<Count, BenchError> {
        let error = |source| BenchError::Map {
            name: abi::map::COUNTS,
            source,
        };
        let rows = Array::<_, abi::Counts>::try_from(self.map()?).map_err(error)?;
        let mut total = Count::default();
        for cpu in 0..cpus()? {
            total += rows.get(&cpu, 0).map_err(error)?;
        }
        Ok(total)
    }

    /// Detaches, then counts: nothing is added to the answer afterwards.
    pub fn finish(mut self) -> Result<Count, BenchError> {
        detach(&mut self.ebpf, abi::program::SINK)?;
        self.count()
    }

    /// The counts of each CPU, which a generator may watch.
    pub(super) fn rows(&self) -> Result<&MapData, BenchError> {
        match self.map()? {
            Map::Array(rows) => Ok(rows),
            _ => Err(BenchError::Missing(abi::map::COUNTS)),
        }
    }

    fn map(&self) -> Result<&Map, BenchError> {
        self.ebpf
            .map(abi::map::COUNTS)
            .ok_or(BenchError::Missing(abi::map::COUNTS))
    }
}

/// Rows of a sink's counts that are used on this machine.
pub(super) fn cpus() -> Result<u32, BenchError> {
    let cpus = aya::util::nr_cpus().map_err(|(path, source)| BenchError::Cpus { path, source })?;
    Ok(cpus.min(abi::MAX_CPUS) as u32)
}

impl AddAssign<abi::Counts> for Count {
    fn add_assign(&mut self, cpu: abi::Counts) {
        self.frames += cpu.frames;
        self.bytes += cpu.bytes;
        self.damaged += cpu.damaged;
        // CPUs that saw nothing say 0; of the others any is as good.
        self.ttl = self.ttl.max(cpu.ttl as u8);
        self.misrouted += cpu.misrouted;
    }
}

/// What has been counted since an earlier look; the TTL is the latest.
impl Sub for Count {
    type Output = Count;

    fn sub(self, earlier: Count) -> Count {
        Count {
            frames: self.frames - earlier.frames,
            bytes: self.bytes - earlier.bytes,
            damaged: self.damaged - earlier.damaged,
            ttl: self.ttl,
            misrouted: self.misrouted - earlier.misrouted,
        }
    }
}

impl Count {
    /// All frames of the flow, damaged ones too.
    pub fn arrived(&self) -> u64 {
        self.frames + self.damaged
    }
}
