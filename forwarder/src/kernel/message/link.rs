//! `RTM_NEWLINK`, `RTM_DELLINK`: `struct ifinfomsg` and `IFLA_*`.

use forwarder_core::interface::Vlan;
use forwarder_core::net::Ifindex;

use super::super::wire::{Attribute, Attributes, Malformed, after, u8_at, u16_at, u32_at};
use super::family;

/// Length of `struct ifinfomsg`.
pub(crate) const FIXED_LEN: usize = 16;
/// `IFLA_EXT_MASK` and the bit that leaves statistics out of a dump.
pub(crate) const IFLA_EXT_MASK: u16 = 29;
pub(crate) const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;

/// `IFLA_VLAN_*` (`include/uapi/linux/if_link.h`).
const IFLA_VLAN_ID: u16 = 1;
const IFLA_VLAN_EGRESS_QOS: u16 = 3;
const IFLA_VLAN_PROTOCOL: u16 = 5;
/// `ETH_P_8021AD`, in network byte order.
const DOT1AD: [u8; 2] = [0x88, 0xa8];

/// An interface, as one message tells of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    pub(crate) ifindex: Ifindex,
    pub(crate) name: String,
    /// `IFF_*`.
    pub(crate) flags: u32,
    /// `ARPHRD_*`.
    pub(crate) hardware: u16,
    pub(crate) mac: Option<[u8; 6]>,
    pub(crate) mtu: u32,
    pub(crate) kind: String,
    pub(crate) vlan: Option<Vlan>,
    pub(crate) master: Option<Ifindex>,
    pub(crate) lower: Option<Ifindex>,
    pub(crate) lower_elsewhere: bool,
}

impl Link {
    /// Whether this `IFF_*` flag is set.
    pub(crate) fn has(&self, flag: libc::c_int) -> bool {
        self.flags & flag.cast_unsigned() != 0
    }
}

/// `None` for what bridges say of their ports (`AF_BRIDGE`): such an
/// `RTM_DELLINK` means "left the bridge", not "gone".
pub(super) fn decode(payload: &[u8]) -> Result<Option<Link>, Malformed> {
    if u8_at(payload, 0)? != family(libc::AF_UNSPEC) {
        return Ok(None);
    }
    let mut link = Link {
        ifindex: Ifindex(u32_at(payload, 4)?),
        name: String::new(),
        flags: u32_at(payload, 8)?,
        hardware: u16_at(payload, 2)?,
        mac: None,
        mtu: 0,
        kind: String::new(),
        vlan: None,
        master: None,
        lower: None,
        lower_elsewhere: false,
    };
    for attribute in Attributes::new(after(payload, FIXED_LEN)?) {
        apply(&mut link, &attribute?)?;
    }
    Ok(Some(link))
}

fn apply(link: &mut Link, attribute: &Attribute<'_>) -> Result<(), Malformed> {
    match attribute.kind {
        libc::IFLA_IFNAME => link.name = attribute.text(),
        libc::IFLA_ADDRESS => link.mac = attribute.mac(),
        libc::IFLA_MTU => link.mtu = attribute.u32()?,
        libc::IFLA_MASTER => link.master = some_ifindex(attribute.u32()?),
        libc::IFLA_LINK => link.lower = some_ifindex(attribute.u32()?),
        libc::IFLA_LINK_NETNSID => link.lower_elsewhere = true,
        libc::IFLA_LINKINFO => info(link, attribute)?,
        _ => {}
    }
    Ok(())
}

fn some_ifindex(number: u32) -> Option<Ifindex> {
    (number != 0).then_some(Ifindex(number))
}

fn info(link: &mut Link, link_info: &Attribute<'_>) -> Result<(), Malformed> {
    let mut data = None;
    for attribute in link_info.nested() {
        let attribute = attribute?;
        match attribute.kind {
            libc::IFLA_INFO_KIND => link.kind = attribute.text(),
            libc::IFLA_INFO_DATA => data = Some(attribute),
            _ => {}
        }
    }
    // What the data mean is a matter of the kind.
    if let Some(data) = data.filter(|_| link.kind == "vlan") {
        link.vlan = vlan(&data)?;
    }
    Ok(())
}

fn vlan(data: &Attribute<'_>) -> Result<Option<Vlan>, Malformed> {
    let mut id = None;
    let (mut ad, mut prioritised) = (false, false);
    for attribute in data.nested() {
        let attribute = attribute?;
        match attribute.kind {
            IFLA_VLAN_ID => id = Some(u16_at(attribute.value, 0)?),
            IFLA_VLAN_PROTOCOL => ad = attribute.value == DOT1AD,
            IFLA_VLAN_EGRESS_QOS => prioritised = true,
            _ => {}
        }
    }
    Ok(id.map(|id| Vlan {
        id,
        ad,
        prioritised,
    }))
}
