//! Prefix → next-hop id, in the map of the engine in use.
//!
//! Owned by [`super::tables`]. The two engines differ in what is full when (a
//! number of prefixes, a number of rows) and in what has to rest before it is
//! used again: the kernel sees to that in its `LPM_TRIE`, we in our own.

use aya::maps::lpm_trie::Key;
use aya::maps::{LpmTrie, Map, MapData, MapError};
use forwarder_core::fib::trie::{Full, Trie};
use thiserror::Error;

use super::family::MapFamily;
use super::mapped::MappedRows;
use super::object::{LoadError, Lookup, Object};

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
pub(super) enum Routes<F: MapFamily> {
    LpmTrie(LpmTrie<MapData, F::Key, u32>),
    Multibit(Box<Multibit<F>>),
    /// No table of ours: the kernel's own are looked up, or none.
    None,
}

/// The engine `multibit`.
pub(super) struct Multibit<F: MapFamily> {
    trie: Trie<F>,
    rows: MappedRows,
}

impl<F: MapFamily> Routes<F> {
    /// Takes the map of the engine that the object was loaded with.
    pub(super) fn new(object: &mut Object) -> Result<Self, LoadError> {
        match object.lookup() {
            Lookup::LpmTrie { .. } => {
                let map = object.take_map(F::ROUTES)?;
                map.try_into()
                    .map(Routes::LpmTrie)
                    .map_err(|source| LoadError::Map {
                        name: F::ROUTES,
                        source,
                    })
            }
            Lookup::Multibit { .. } => {
                let rows = object.lookup().rows::<F>();
                let Map::Array(map) = object.take_map(F::ROWS)? else {
                    return Err(LoadError::Missing(F::ROWS));
                };
                let trie = Trie::new(rows);
                let rows =
                    MappedRows::new(map, trie.rows()).map_err(|source| LoadError::Mapping {
                        name: F::ROWS,
                        source,
                    })?;
                Ok(Routes::Multibit(Box::new(Multibit { trie, rows })))
            }
            Lookup::Kernel | Lookup::Constant => Ok(Routes::None),
        }
    }

    /// Sets a prefix, new or not.
    pub(super) fn set(&mut self, prefix: F::Prefix, id: u32) -> Result<(), WriteError> {
        match self {
            Routes::LpmTrie(map) => Ok(map.insert(&key::<F>(prefix), id, 0)?),
            Routes::Multibit(engine) => Ok(engine.trie.insert(prefix, id, &mut engine.rows)?),
            Routes::None => Ok(()),
        }
    }

    /// Forgets a prefix; one that is not there is no error.
    pub(super) fn remove(&mut self, prefix: F::Prefix) -> Result<(), WriteError> {
        match self {
            Routes::LpmTrie(map) => match map.remove(&key::<F>(prefix)) {
                Err(error) if is_absent(&error) => Ok(()),
                result => Ok(result?),
            },
            Routes::Multibit(engine) => {
                engine.trie.remove(prefix, &mut engine.rows);
                Ok(())
            }
            Routes::None => Ok(()),
        }
    }

    /// The trie of the engine `multibit`, if that is in use.
    pub(super) fn trie(&self) -> Option<&Trie<F>> {
        match self {
            Routes::LpmTrie(_) | Routes::None => None,
            Routes::Multibit(engine) => Some(&engine.trie),
        }
    }

    /// Likewise, for the rows that rest.
    pub(super) fn trie_mut(&mut self) -> Option<&mut Trie<F>> {
        match self {
            Routes::LpmTrie(_) | Routes::None => None,
            Routes::Multibit(engine) => Some(&mut engine.trie),
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

fn key<F: MapFamily>(prefix: F::Prefix) -> Key<F::Key> {
    Key::new(u32::from(F::len(&prefix)), F::key(F::network(&prefix)))
}
