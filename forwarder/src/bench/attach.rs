//! The programs that sit on a port: [`Pass`] and [`Sink`].

use std::ops::AddAssign;

use aya::maps::{Array, PerCpuArray};
use aya::programs::{ProgramError, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use forwarder_common::bench as abi;

use super::{BenchError, OBJECT};

/// A port that hands everything up, by a program of two instructions.
///
/// Dropping it detaches the program.
#[derive(Debug)]
pub struct Pass {
    _ebpf: Ebpf,
}

impl Pass {
    /// Attaches to an interface of the calling thread's network namespace.
    pub fn attach(interface: &str, mode: XdpMode) -> Result<Self, BenchError> {
        let mut ebpf = EbpfLoader::new().load(OBJECT)?;
        attach(&mut ebpf, abi::program::PASS, interface, mode)?;
        Ok(Self { _ebpf: ebpf })
    }
}

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
    /// Frames with an intact IPv4 header.
    pub frames: u64,
    /// Bytes of those frames, Ethernet header included.
    pub bytes: u64,
    /// Frames whose IPv4 header checksum was wrong.
    pub damaged: u64,
    /// TTL of the last intact frame; 0 before the first.
    pub ttl: u8,
}

impl Sink {
    /// Attaches to an interface of the calling thread's network namespace.
    pub fn attach(interface: &str, udp_port: u16, mode: XdpMode) -> Result<Self, BenchError> {
        let mut ebpf = EbpfLoader::new().load(OBJECT)?;
        let config = abi::Sink {
            port_be: udp_port.to_be(),
            reserved: [0; 3],
        };
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
        let name = abi::map::COUNTS;
        let map = self.ebpf.map(name).ok_or(BenchError::Missing(name))?;
        let counts = PerCpuArray::<_, abi::Counts>::try_from(map)
            .and_then(|map| map.get(&0, 0))
            .map_err(|source| BenchError::Map { name, source })?;
        let mut total = Count::default();
        for count in counts.iter() {
            total += *count;
        }
        Ok(total)
    }
}

impl AddAssign<abi::Counts> for Count {
    fn add_assign(&mut self, cpu: abi::Counts) {
        self.frames += cpu.frames;
        self.bytes += cpu.bytes;
        self.damaged += cpu.damaged;
        // CPUs that saw nothing say 0; of the others any is as good.
        self.ttl = self.ttl.max(cpu.ttl as u8);
    }
}

fn attach(
    ebpf: &mut Ebpf,
    name: &'static str,
    interface: &str,
    mode: XdpMode,
) -> Result<(), BenchError> {
    let program = load(ebpf, name)?;
    match program.attach(interface, mode) {
        Ok(_link) => Ok(()),
        Err(ProgramError::UnknownInterface { name }) => Err(BenchError::NoInterface(name)),
        Err(source) => Err(BenchError::Attach {
            name,
            interface: interface.to_owned(),
            source,
        }),
    }
}

/// Loads one program of the object.
pub(super) fn load<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Xdp, BenchError> {
    let program = ebpf.program_mut(name).ok_or(BenchError::Missing(name))?;
    let program: &mut Xdp = program
        .try_into()
        .map_err(|source| BenchError::Program { name, source })?;
    program
        .load()
        .map_err(|source| BenchError::Program { name, source })?;
    Ok(program)
}
