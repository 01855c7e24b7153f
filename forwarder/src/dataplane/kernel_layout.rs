//! Offsets of the kernel's struct fields that the transmit tracepoints read,
//! from this kernel's own BTF: they differ between builds.
//!
//! Called once, when the programs are loaded.

use btf_rs::{Btf, Member, Type};
use thiserror::Error;

/// Where the kernel describes its types.
const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Why an offset is not known.
#[derive(Debug, Error)]
pub enum LayoutError {
    /// The kernel was built without BTF, or it could not be read.
    #[error("{VMLINUX} could not be read: {0} (the kernel needs CONFIG_DEBUG_INFO_BTF)")]
    NoBtf(String),
    /// The structure is not as expected.
    #[error("this kernel's `struct {0}` has no field `{1}`")]
    NoField(&'static str, &'static str),
}

/// Byte offsets within the structures of a network device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceLayout {
    /// `struct net_device`, `ifindex`.
    pub ifindex: u32,
    /// `struct net_device`, `nd_net`.
    pub net: u32,
    /// `struct net`, `ns.inum`.
    pub net_inum: u32,
}

impl DeviceLayout {
    /// Reads them from the running kernel.
    pub fn of_this_kernel() -> Result<DeviceLayout, LayoutError> {
        let btf = Btf::from_file(VMLINUX).map_err(|error| LayoutError::NoBtf(error.to_string()))?;
        Ok(DeviceLayout {
            ifindex: offset(&btf, "net_device", "ifindex")?,
            net: offset(&btf, "net_device", "nd_net")?,
            net_inum: offset(&btf, "net", "ns")? + offset(&btf, "ns_common", "inum")?,
        })
    }
}

/// Offset of a field in bytes, looked for in anonymous members too (recent
/// kernels group `struct net_device` by cache line with them).
fn offset(btf: &Btf, structure: &'static str, field: &'static str) -> Result<u32, LayoutError> {
    let missing = || LayoutError::NoField(structure, field);
    let types = btf
        .resolve_types_by_name(structure)
        .map_err(|_| missing())?;
    types
        .iter()
        .find_map(|found| within(btf, found, field))
        .map(|bits| bits / 8)
        .ok_or_else(missing)
}

/// Offset of a field in bits within a struct or union.
fn within(btf: &Btf, found: &Type, field: &str) -> Option<u32> {
    let (Type::Struct(body) | Type::Union(body)) = found else {
        return None;
    };
    body.members
        .iter()
        .find_map(|member| in_member(btf, member, field))
}

fn in_member(btf: &Btf, member: &Member, field: &str) -> Option<u32> {
    let name = btf.resolve_name(member).unwrap_or_default();
    if name == field {
        return Some(member.bit_offset());
    }
    if !name.is_empty() {
        return None;
    }
    let inner = btf.resolve_chained_type(member).ok()?;
    within(btf, &inner, field).map(|bits| member.bit_offset() + bits)
}

#[cfg(test)]
mod tests {
    use super::DeviceLayout;

    /// The fields exist and lie where a pointer or an int can: a wrong walk of
    /// the BTF would give an odd or a tiny offset.
    #[test]
    fn the_running_kernel_describes_its_devices() {
        if !std::path::Path::new(super::VMLINUX).exists() {
            return;
        }
        let layout = DeviceLayout::of_this_kernel().expect("BTF of this kernel");
        assert_eq!(layout.ifindex % 4, 0);
        assert_eq!(layout.net % 8, 0);
        assert_eq!(layout.net_inum % 4, 0);
        assert_ne!(layout.ifindex, layout.net);
    }
}
