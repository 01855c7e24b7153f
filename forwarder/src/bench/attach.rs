//! The programs that sit on a port and pass frames on: [`Pass`] and [`Relay`].

use aya::maps::{Array, DevMap};
use aya::programs::{ProgramError, ProgramFd, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use forwarder_common::bench as abi;
use nix::net::if_::if_nametoindex;

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

/// A port that sends all IP out of another one, without a lookup: the limit
/// for any forwarder between the two.
///
/// Dropping it detaches the program.
#[derive(Debug)]
pub struct Relay {
    ebpf: Ebpf,
}

impl Relay {
    /// Attaches to `from`; frames leave by `to`, from `source` to
    /// `destination`. Both interfaces are looked up in the calling thread's
    /// network namespace.
    pub fn attach(
        from: &str,
        to: &str,
        source: [u8; 6],
        destination: [u8; 6],
        mode: XdpMode,
    ) -> Result<Self, BenchError> {
        let mut ebpf = EbpfLoader::new().load(OBJECT)?;
        set_egress(&mut ebpf, to)?;
        let mut macs = [0; 6];
        let bytes = [destination, source].concat();
        for (word, pair) in macs.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *word = u16::from_ne_bytes(*pair);
        }
        let name = abi::map::RELAY;
        let map = ebpf.map_mut(name).ok_or(BenchError::Missing(name))?;
        Array::<_, abi::Relay>::try_from(map)
            .and_then(|mut map| map.set(0, abi::Relay { macs }, 0))
            .map_err(|source| BenchError::Map { name, source })?;
        attach(&mut ebpf, abi::program::RELAY, from, mode)?;
        Ok(Self { ebpf })
    }

    /// The program, for frames that come to it without a wire.
    pub fn program(&self) -> Result<&ProgramFd, BenchError> {
        let name = abi::program::RELAY;
        let program = self.ebpf.program(name).ok_or(BenchError::Missing(name))?;
        <&Xdp>::try_from(program)
            .and_then(Xdp::fd)
            .map_err(|source| BenchError::Program { name, source })
    }
}

/// Makes an interface entry 0 of the object's DEVMAP.
pub(super) fn set_egress(ebpf: &mut Ebpf, interface: &str) -> Result<(), BenchError> {
    let ifindex = if_nametoindex(interface)
        .map_err(|_missing| BenchError::NoInterface(interface.to_owned()))?;
    let name = abi::map::OUT;
    let map = ebpf.map_mut(name).ok_or(BenchError::Missing(name))?;
    DevMap::try_from(map)
        .map_err(|source| BenchError::Map { name, source })?
        .set(0, ifindex, None, 0)
        .map_err(BenchError::Egress)
}

/// Loads one program of the object and attaches it.
pub(super) fn attach(
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

/// Takes one program of the object off its port; the object's maps stay.
pub(super) fn detach(ebpf: &mut Ebpf, name: &'static str) -> Result<(), BenchError> {
    let program = ebpf.program_mut(name).ok_or(BenchError::Missing(name))?;
    <&mut Xdp>::try_from(program)
        .and_then(Xdp::unload)
        .map_err(|source| BenchError::Program { name, source })
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
