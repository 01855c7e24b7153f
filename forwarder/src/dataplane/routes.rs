//! Prefix → next-hop id, in the map of the engine in use.
//!
//! Owned by [`super::tables`]. The two engines differ in what is full when (a
//! number of prefixes, a number of rows) and in what has to rest before it is
//! used again: the kernel sees to that in its `LPM_TRIE`, we in our own.

use aya::maps::lpm_trie::Key;
use aya::maps::{LpmTrie, Map, MapData, MapError};
use forwarder_common::abi::map;
use forwarder_common::trie::Row;
use forwarder_core::fib::trie::{Full, Trie};
use ipnet::Ipv4Net;
use thiserror::Error;

use super::object::{LoadError, Lookup, Object};
use super::rows::MappedRows;

/// Why a map did not take a write.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The kernel's words.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The engine `multibit` has no row for the prefix.
    #[error(transparent)]
    Full(#[from] Full),
}

/// The route table.
pub(super) enum Routes {
    LpmTrie(LpmTrie<MapData, u32, u32>),
    Multibit(Box<Multibit>),
}

/// The engine `multibit`.
pub(super) struct Multibit {
    trie: Trie,
    rows: MappedRows,
}

impl Routes {
    /// Takes the map of the engine that the object was loaded with.
    pub(super) fn new(object: &mut Object) -> Result<Routes, LoadError> {
        match object.lookup() {
            Lookup::LpmTrie { .. } => {
                let map = object.take_map(map::ROUTES4)?;
                map.try_into()
                    .map(Routes::LpmTrie)
                    .map_err(|source| LoadError::Map {
                        name: map::ROUTES4,
                        source,
                    })
            }
            Lookup::Multibit { rows } => {
                let Map::Array(map) = object.take_map(map::ROWS4)? else {
                    return Err(LoadError::Missing("array ROWS4"));
                };
                let trie = Trie::new(rows);
                let rows =
                    MappedRows::new(&map, trie.rows()).map_err(|source| LoadError::Mapping {
                        name: map::ROWS4,
                        source,
                    })?;
                Ok(Routes::Multibit(Box::new(Multibit { trie, rows })))
            }
        }
    }

    /// Sets a prefix, new or not.
    pub(super) fn set(&mut self, prefix: Ipv4Net, id: u32) -> Result<(), WriteError> {
        match self {
            Routes::LpmTrie(map) => Ok(map.insert(&key(prefix), id, 0)?),
            Routes::Multibit(engine) => Ok(engine.trie.insert(prefix, id, &mut engine.rows)?),
        }
    }

    /// Forgets a prefix; one that is not there is no error.
    pub(super) fn remove(&mut self, prefix: Ipv4Net) -> Result<(), WriteError> {
        match self {
            Routes::LpmTrie(map) => match map.remove(&key(prefix)) {
                Err(error) if is_absent(&error) => Ok(()),
                result => Ok(result?),
            },
            Routes::Multibit(engine) => {
                engine.trie.remove(prefix, &mut engine.rows);
                Ok(())
            }
        }
    }

    /// The trie of the engine `multibit`, if that is in use.
    pub(super) fn trie(&self) -> Option<&Trie> {
        match self {
            Routes::LpmTrie(_) => None,
            Routes::Multibit(engine) => Some(&engine.trie),
        }
    }

    /// Likewise, for the rows that rest.
    pub(super) fn trie_mut(&mut self) -> Option<&mut Trie> {
        match self {
            Routes::LpmTrie(_) => None,
            Routes::Multibit(engine) => Some(&mut engine.trie),
        }
    }

    /// Kernel memory that is taken whatever the number of prefixes.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Routes::LpmTrie(_) => 0,
            Routes::Multibit(engine) => u64::from(engine.trie.rows()) * size_of::<Row>() as u64,
        }
    }
}

/// Whether a removal failed because there was nothing to remove. aya has an
/// error of its own for that, and hands the kernel's on where it removes.
pub(super) fn is_absent(error: &MapError) -> bool {
    match error {
        MapError::KeyNotFound => true,
        MapError::SyscallError(error) => error.io_error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

fn key(prefix: Ipv4Net) -> Key<u32> {
    Key::new(
        u32::from(prefix.prefix_len()),
        u32::from_ne_bytes(prefix.network().octets()),
    )
}
