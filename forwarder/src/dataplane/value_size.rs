//! Sets the size of a map's value before the object is loaded.
//!
//! A map that is one array as a single value, whose length the configuration
//! says, needs it; aya's loader can set the number of entries only. The value's
//! size is a field of `struct bpf_map_def` in the section `maps`, in which the
//! map's symbol says where its definition is. Called by [`super::object`].

use object::{File, Object as _, ObjectSection as _, ObjectSymbol as _};

use super::object::LoadError;

/// `offsetof(struct bpf_map_def, value_size)`.
const VALUE_SIZE: usize = 8;

/// A copy of the object in which these maps have values of so many bytes.
pub(super) fn sized(object: &[u8], sizes: &[(&'static str, u32)]) -> Result<Vec<u8>, LoadError> {
    let mut copy = object.to_vec();
    for &(name, bytes) in sizes {
        let at = definition(object, name).ok_or(LoadError::Missing(name))? + VALUE_SIZE;
        let field = copy.get_mut(at..at + 4).ok_or(LoadError::Missing(name))?;
        field.copy_from_slice(&bytes.to_ne_bytes());
    }
    Ok(copy)
}

/// Where in the file a map's definition is.
fn definition(object: &[u8], name: &str) -> Option<usize> {
    let file = File::parse(object).ok()?;
    let (start, _) = file.section_by_name("maps")?.file_range()?;
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name))?;
    usize::try_from(start + symbol.address()).ok()
}
