//! The compiled XDP programs: embedded, loaded, their maps handed out once.
//!
//! Called by `dataplane::Dataplane` and by the program tests. A kernel that
//! lacks something is told apart from a caller that lacks a privilege, because
//! the person at the keyboard mends them in different ways.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;

use aya::maps::Map;
use aya::programs::tp_btf::BtfTracePointLinkId;
use aya::programs::{BtfTracePoint, Xdp};
use aya::{Btf, Ebpf, EbpfLoader};
use forwarder_common::abi::{TxFilter, engine, global, map, program};
use forwarder_common::trie::{COLUMNS, ROOT_ROWS, Row};
use forwarder_core::config::{Dataplane, Engine};
use forwarder_core::net::{Ipv4, Ipv6};
use thiserror::Error;
use tracing::warn;

use super::family::MapFamily;
use super::kernel_layout::DeviceLayout;
use super::value_size::sized;

/// The object file that `build.rs` made.
static PROGRAMS: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/forwarder-xdp"));

/// Why the programs could not be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The caller lacks a capability.
    #[error(
        "the kernel does not let this process use BPF ({0}); run it as root, or with \
         CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
    )]
    NotPermitted(String),
    /// The kernel is older than the oldest one supported.
    #[error("kernel {found} is too old: the forwarder needs Linux {needed} or later")]
    KernelTooOld {
        /// This kernel.
        found: String,
        /// The oldest that works.
        needed: &'static str,
    },
    /// The object or one of its maps was refused.
    #[error("loading the BPF object failed: {0}")]
    Object(#[source] aya::EbpfError),
    /// The verifier or the kernel refused a program.
    #[error("the kernel refused the BPF program `{name}`: {source}")]
    Program {
        /// Which program.
        name: &'static str,
        /// The kernel's words, verifier log included.
        source: aya::programs::ProgramError,
    },
    /// The object lacks something that this daemon expects in it.
    #[error("the BPF object has no {0}: it does not belong to this build; build it again")]
    Missing(&'static str),
    /// A map could not be read or written.
    #[error("map {name}: {source}")]
    Map {
        /// Which map.
        name: &'static str,
        /// The kernel's words.
        source: aya::maps::MapError,
    },
    /// A map could not be mapped into memory.
    #[error("map {name} could not be mapped into memory: {source}")]
    Mapping {
        /// Which map.
        name: &'static str,
        /// The kernel's words.
        source: std::io::Error,
    },
}

/// Prefixes the LPM trie takes; memory is used only by those that are there.
const PREFIXES: u32 = 1 << 21;

/// Rows that a table grows to by itself: 256 MiB, several times a full Internet
/// table. More than that are routes gone wild, or asked for by the configuration.
const MOST_ROWS: u32 = 1 << 18;

/// How the rows of the engine `multibit` lie in their maps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RowLayout {
    /// All as one value, which programs index themselves: the fastest.
    Whole,
    /// Each as an entry, for kernels before 6.0: `array_map_alloc_check` refused
    /// values of more than 4 MiB.
    Entries,
}

/// How the programs find routes, and how much room there is for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// [`Engine::Multibit`].
    Multibit {
        /// Rows of 1 KiB for IPv4; the root's [`ROOT_ROWS`] are the least.
        rows4: u32,
        /// Likewise for IPv6.
        rows6: u32,
    },
    /// [`Engine::LpmTrie`].
    LpmTrie {
        /// Prefixes of each family.
        prefixes: u32,
    },
    /// [`Engine::Kernel`].
    Kernel,
    /// The same next-hop id for every destination ([`engine::CONSTANT`]): what
    /// `forwarder bench` compares the others with.
    Constant,
}

impl Lookup {
    /// What the configuration asks for.
    pub fn of(settings: &Dataplane) -> Lookup {
        match settings.engine {
            Engine::Multibit => Lookup::Multibit {
                rows4: settings.ipv4_rows,
                rows6: settings.ipv6_rows,
            },
            Engine::LpmTrie => Lookup::LpmTrie { prefixes: PREFIXES },
            Engine::Kernel => Lookup::Kernel,
        }
    }

    /// The value of the constant `ENGINE`.
    fn engine(self) -> u32 {
        match self {
            Lookup::Multibit { .. } => engine::MULTIBIT,
            Lookup::LpmTrie { .. } => engine::LPM_TRIE,
            Lookup::Kernel => engine::KERNEL,
            Lookup::Constant => engine::CONSTANT,
        }
    }

    /// Entries of the `LPM_TRIE`s; those of an engine that is not in use get one.
    fn prefixes(self) -> u32 {
        match self {
            Lookup::LpmTrie { prefixes } => prefixes,
            Lookup::Multibit { .. } | Lookup::Kernel | Lookup::Constant => 1,
        }
    }

    /// Rows of a family, likewise.
    pub(super) fn rows<F: MapFamily>(self) -> u32 {
        let Lookup::Multibit { rows4, rows6 } = self else {
            return 1;
        };
        let rows = if F::BITS == 32 { rows4 } else { rows6 };
        rows.max(ROOT_ROWS)
    }

    /// An object with maps of these sizes.
    fn sized(self, object: &[u8], layout: RowLayout) -> Result<Vec<u8>, LoadError> {
        let row = size_of::<Row>() as u32;
        let bytes = |rows: u32| match layout {
            RowLayout::Whole => rows * row,
            RowLayout::Entries => row,
        };
        let sizes = [
            (map::ROWS4, bytes(self.rows::<Ipv4>())),
            (map::ROWS6, bytes(self.rows::<Ipv6>())),
        ];
        sized(object, &sizes)
    }

    /// With twice the rows for the families that want more; `None` where they
    /// have as many as they may.
    pub(super) fn larger(self, wanted: (bool, bool)) -> Option<Lookup> {
        let Lookup::Multibit { rows4, rows6 } = self else {
            return None;
        };
        let grown = |rows: u32, more| match more {
            true if rows < MOST_ROWS => rows.saturating_mul(2).min(MOST_ROWS),
            _ => rows,
        };
        let larger = Lookup::Multibit {
            rows4: grown(rows4, wanted.0),
            rows6: grown(rows6, wanted.1),
        };
        (larger != self).then_some(larger)
    }
}

/// Ring buffers (5.8), XDP links (5.9) and BTF tracepoints (5.5) are needed.
pub const OLDEST_KERNEL: (u32, u32) = (5, 10);

const TRACEPOINTS: [&str; 2] = [program::REDIRECT_ERR, program::DEVMAP_XMIT];

/// The loaded object.
pub struct Object {
    ebpf: Ebpf,
    lookup: Lookup,
    /// Of the flow hash.
    seed: u32,
    /// The transmit tracepoints that are loaded.
    tracepoints: Vec<&'static str>,
    /// Those that are attached.
    watching: Vec<(&'static str, BtfTracePointLinkId)>,
    /// Why there is no multi-buffer program, where there is none.
    pub frags_refused: Option<String>,
    /// Why not all transmit losses are counted, where they are not.
    pub transmit_refused: Option<String>,
}

impl Object {
    /// Loads the programs and attaches the transmit tracepoints; attaches
    /// nothing to any port.
    pub fn load(lookup: Lookup) -> Result<Object, LoadError> {
        check_kernel()?;
        let mut object = Self::load_programs(lookup, flow_seed())?;
        object.watch_transmit();
        Ok(object)
    }

    /// The same programs over maps of other sizes, by which flows take the ways
    /// they took. Its transmit tracepoints are attached by
    /// [`Object::watch_transmit`], once those of this one are not.
    pub(super) fn successor(&self, lookup: Lookup) -> Result<Object, LoadError> {
        Self::load_programs(lookup, self.seed)
    }

    fn load_programs(lookup: Lookup, seed: u32) -> Result<Object, LoadError> {
        let mut object = match Self::load_laid_out(lookup, RowLayout::Whole, seed) {
            Err(error) if error.is_too_big() => {
                Self::load_laid_out(lookup, RowLayout::Entries, seed)?
            }
            result => result?,
        };
        object.load_tracepoints();
        Ok(object)
    }

    /// The programs with the rows in this layout and without the transmit
    /// tracepoints: what tests run by hand.
    pub fn load_laid_out(
        lookup: Lookup,
        layout: RowLayout,
        seed: u32,
    ) -> Result<Object, LoadError> {
        let constants = Constants::of(lookup, layout);
        let mut ebpf = loader(lookup, &constants)
            .override_global(global::SEED, &seed, true)
            .load(&lookup.sized(PROGRAMS, layout)?)
            .map_err(object_error)?;
        #[cfg(feature = "ebpf-log")]
        super::log::start(&mut ebpf);
        load_xdp(&mut ebpf, program::FORWARD)?;
        // Kernels before 5.18 have no multi-buffer XDP: the plain one serves.
        let frags_refused = load_xdp(&mut ebpf, program::FORWARD_FRAGS)
            .err()
            .map(|error| error.to_string());
        Ok(Object {
            ebpf,
            lookup,
            seed,
            tracepoints: Vec::new(),
            watching: Vec::new(),
            frags_refused,
            transmit_refused: None,
        })
    }

    /// Another object with the maps of the routers' programs, of which nothing
    /// is loaded yet. `prepare` has the loader first.
    pub(crate) fn with_maps(
        object: &[u8],
        lookup: Lookup,
        prepare: impl for<'a> FnOnce(&mut EbpfLoader<'a>),
    ) -> Result<Object, LoadError> {
        let layout = RowLayout::Whole;
        let constants = Constants::of(lookup, layout);
        let mut loader = loader(lookup, &constants);
        prepare(&mut loader);
        Ok(Object {
            ebpf: loader
                .load(&lookup.sized(object, layout)?)
                .map_err(object_error)?,
            lookup,
            seed: 0,
            tracepoints: Vec::new(),
            watching: Vec::new(),
            frags_refused: None,
            transmit_refused: None,
        })
    }

    /// What the object was loaded with.
    pub fn lookup(&self) -> Lookup {
        self.lookup
    }

    /// An XDP program of the object.
    pub fn xdp(&mut self, name: &'static str) -> Result<&mut Xdp, LoadError> {
        let program = self
            .ebpf
            .program_mut(name)
            .ok_or(LoadError::Missing(name))?;
        program
            .try_into()
            .map_err(|source| LoadError::Program { name, source })
    }

    /// Hands a map out; each can be taken once.
    pub fn take_map(&mut self, name: &'static str) -> Result<Map, LoadError> {
        self.ebpf.take_map(name).ok_or(LoadError::Missing(name))
    }

    /// Has the losses behind the redirect counted.
    pub(crate) fn watch_transmit(&mut self) {
        for name in self.tracepoints.clone() {
            if let Err(why) = self.attach_tracepoint(name) {
                self.refuse_tracepoint(&why);
            }
        }
        if let Some(why) = &self.transmit_refused {
            warn!("not all frames lost after the redirect are counted: {why}");
        }
    }

    fn refuse_tracepoint(&mut self, why: &str) {
        let before = self.transmit_refused.take();
        let before = before.map(|before| before + "; ").unwrap_or_default();
        self.transmit_refused = Some(before + why);
    }

    /// No longer: two generations would both count what they share.
    pub(crate) fn unwatch_transmit(&mut self) {
        for (name, link) in std::mem::take(&mut self.watching) {
            let detached = self
                .tracepoint(name)
                .map(|program| program.detach(link).map_err(|error| error.to_string()));
            if let Err(why) = detached.and_then(std::convert::identity) {
                warn!("{name}: {why}");
            }
        }
    }

    fn attach_tracepoint(&mut self, name: &'static str) -> Result<(), String> {
        let link = self
            .tracepoint(name)?
            .attach()
            .map_err(|error| format!("{name}: {error}"))?;
        self.watching.push((name, link));
        Ok(())
    }

    /// Loads the two programs, each by itself: before Linux 5.13 the first
    /// tracepoint had other arguments, and is refused.
    fn load_tracepoints(&mut self) {
        let btf = match self.fill_tx_filter() {
            Ok(btf) => btf,
            Err(why) => return self.refuse_tracepoint(&why),
        };
        for name in TRACEPOINTS {
            let loaded = self.tracepoint(name).and_then(|program| {
                let loaded = program.load(name, &btf);
                loaded.map_err(|error| format!("{name}: {error}"))
            });
            match loaded {
                Ok(()) => self.tracepoints.push(name),
                Err(why) => self.refuse_tracepoint(&why),
            }
        }
    }

    /// What the two go by.
    fn fill_tx_filter(&mut self) -> Result<Btf, String> {
        let layout = DeviceLayout::of_this_kernel().map_err(|error| error.to_string())?;
        let filter = TxFilter {
            netns_inum: netns_inum()?,
            dev_ifindex: layout.ifindex,
            dev_net: layout.net,
            net_inum: layout.net_inum,
            devmap_ids: [
                self.map_id(map::TX_PORTS)?,
                self.map_id(map::TX_PORTS_FRAGS)?,
            ],
            ..TxFilter::default()
        };
        let map = self
            .ebpf
            .map_mut(map::TX_FILTER)
            .ok_or("no map TX_FILTER")?;
        let mut map: aya::maps::Array<_, TxFilter> = map
            .try_into()
            .map_err(|error: aya::maps::MapError| error.to_string())?;
        map.set(0, filter, 0).map_err(|error| error.to_string())?;
        Btf::from_sys_fs().map_err(|error| error.to_string())
    }

    fn tracepoint(&mut self, name: &'static str) -> Result<&mut BtfTracePoint, String> {
        let program = self.ebpf.program_mut(name);
        let program = program.ok_or_else(|| format!("no program {name}"))?;
        program
            .try_into()
            .map_err(|error: aya::programs::ProgramError| error.to_string())
    }

    fn map_id(&self, name: &str) -> Result<u32, String> {
        let Some(Map::DevMap(data)) = self.ebpf.map(name) else {
            return Err(format!("no map {name}"));
        };
        data.info()
            .map(|info| info.id())
            .map_err(|error| error.to_string())
    }
}

/// What the verifier is told of an engine.
struct Constants {
    engine: u32,
    words4: u32,
    words6: u32,
}

impl Constants {
    fn of(lookup: Lookup, layout: RowLayout) -> Constants {
        let words = |rows: u32| match layout {
            RowLayout::Whole => rows * COLUMNS as u32,
            RowLayout::Entries => 0,
        };
        Constants {
            engine: lookup.engine(),
            words4: words(lookup.rows::<Ipv4>()),
            words6: words(lookup.rows::<Ipv6>()),
        }
    }
}

/// Sizes and constants for an engine.
fn loader<'a>(lookup: Lookup, constants: &'a Constants) -> EbpfLoader<'a> {
    let mut loader = EbpfLoader::new();
    if constants.words4 == 0 {
        loader
            .map_max_entries(map::ROWS4, lookup.rows::<Ipv4>())
            .map_max_entries(map::ROWS6, lookup.rows::<Ipv6>());
    }
    loader
        .override_global(global::ENGINE, &constants.engine, true)
        .override_global(global::WORDS4, &constants.words4, true)
        .override_global(global::WORDS6, &constants.words6, true)
        .map_max_entries(map::ROUTES4, lookup.prefixes())
        .map_max_entries(map::ROUTES6, lookup.prefixes());
    loader
}

fn load_xdp(ebpf: &mut Ebpf, name: &'static str) -> Result<(), LoadError> {
    let program = ebpf.program_mut(name).ok_or(LoadError::Missing(name))?;
    let program: &mut Xdp = program
        .try_into()
        .map_err(|source| LoadError::Program { name, source })?;
    program
        .load()
        .map_err(|source| LoadError::Program { name, source })
}

/// A number that nobody outside can know: the standard library seeds its hash
/// tables from the system's random source.
fn flow_seed() -> u32 {
    let random = RandomState::new().build_hasher().finish();
    random as u32
}

/// The running kernel: its name, and its first two numbers where it has them.
pub fn running_kernel() -> (String, Option<(u32, u32)>) {
    let release = nix::sys::utsname::uname()
        .map(|name| name.release().to_string_lossy().into_owned())
        .unwrap_or_default();
    let version = kernel_version(&release);
    (release, version)
}

fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn check_kernel() -> Result<(), LoadError> {
    // A kernel that hides its version is judged by what it refuses.
    match running_kernel() {
        (found, Some(version)) if version < OLDEST_KERNEL => Err(LoadError::KernelTooOld {
            found,
            needed: "5.10",
        }),
        _ => Ok(()),
    }
}

impl LoadError {
    /// The kernel refused the size of a map's value.
    fn is_too_big(&self) -> bool {
        let mut cause: Option<&dyn std::error::Error> = Some(self);
        while let Some(current) = cause {
            let io = current.downcast_ref::<std::io::Error>();
            if io.is_some_and(|io| io.raw_os_error() == Some(libc::E2BIG)) {
                return true;
            }
            cause = current.source();
        }
        false
    }
}

/// Tells a missing privilege from everything else: creating the first map is
/// what fails without one.
pub(super) fn object_error(error: aya::EbpfError) -> LoadError {
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(current) = cause {
        let io = current.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::PermissionDenied) {
            return LoadError::NotPermitted(current.to_string());
        }
        cause = current.source();
    }
    LoadError::Object(error)
}

pub(super) fn netns_inum() -> Result<u32, String> {
    let path = "/proc/self/ns/net";
    let inode = fs::metadata(path)
        .map_err(|error| format!("{path}: {error}"))?
        .ino();
    u32::try_from(inode).map_err(|_| format!("{path} has inode {inode}, which is no namespace"))
}
