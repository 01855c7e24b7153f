//! Offsets of the kernel's struct fields that the programs read which are not on a
//! packet's way, from this kernel's own BTF: they differ between builds.
//!
//! Called when programs are loaded.

use btf_rs::{Btf, Member, Type};
use forwarder_common::abi::MissFilter;
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
        DeviceLayout::of(&types()?)
    }

    fn of(btf: &Btf) -> Result<DeviceLayout, LayoutError> {
        Ok(DeviceLayout {
            ifindex: offset(btf, "net_device", "ifindex")?,
            net: offset(btf, "net_device", "nd_net")?,
            net_inum: offset(btf, "net", "ns")? + offset(btf, "ns_common", "inum")?,
        })
    }
}

/// What the programs at the kernel's lookups go by, in the running kernel.
pub fn miss_filter(netns_inum: u32) -> Result<MissFilter, LayoutError> {
    let btf = &types()?;
    let device = DeviceLayout::of(btf)?;
    Ok(MissFilter {
        netns_inum,
        net_inum: device.net_inum,
        net_null6: offset(btf, "net", "ipv6")? + offset(btf, "netns_ipv6", "fib6_null_entry")?,
        dev_net: device.net,
        skb_dev: offset(btf, "sk_buff", "dev")?,
        skb_dst: offset(btf, "sk_buff", "_skb_refdst")?,
        skb_head: offset(btf, "sk_buff", "head")?,
        skb_network_header: offset(btf, "sk_buff", "network_header")?,
        skb_protocol: offset(btf, "sk_buff", "protocol")?,
        dst_error: offset(btf, "dst_entry", "error")?,
        // Both families' flows begin with what they have in common.
        flow_iif: offset(btf, "flowi_common", "flowic_iif")?,
        flow_oif: offset(btf, "flowi_common", "flowic_oif")?,
        flow4_destination: offset(btf, "flowi4", "daddr")?,
        flow6_destination: offset(btf, "flowi6", "daddr")?,
        flow6_source: offset(btf, "flowi6", "saddr")?,
        result6_route: offset(btf, "fib6_result", "f6i")?,
        table6_id: offset(btf, "fib6_table", "tb6_id")?,
        task_flags: offset(btf, "task_struct", "flags")?,
        task_nsproxy: offset(btf, "task_struct", "nsproxy")?,
        nsproxy_net: offset(btf, "nsproxy", "net_ns")?,
    })
}

fn types() -> Result<Btf, LayoutError> {
    Btf::from_file(VMLINUX).map_err(|error| LayoutError::NoBtf(error.to_string()))
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
    use super::{DeviceLayout, miss_filter};

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

    #[test]
    fn the_running_kernel_describes_its_lookups() {
        if !std::path::Path::new(super::VMLINUX).exists() {
            return;
        }
        let filter = miss_filter(7).expect("BTF of this kernel");
        assert_eq!(filter.netns_inum, 7);
        for pointer in [
            filter.skb_dev,
            filter.skb_dst,
            filter.skb_head,
            filter.net_null6,
            filter.task_nsproxy,
            filter.nsproxy_net,
        ] {
            assert_eq!(pointer % 8, 0);
        }
        assert_eq!(filter.skb_network_header % 2, 0);
        assert_eq!(filter.dst_error % 2, 0);
        // The flow's own part comes after the common one.
        assert!(filter.flow_oif < filter.flow4_destination);
        // The destination first, both of them whole.
        assert_eq!(filter.flow6_destination + 16, filter.flow6_source);
    }
}
