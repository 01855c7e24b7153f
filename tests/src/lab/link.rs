//! A veth pair between two namespaces.
//!
//! Transmit checksum offload is switched off at both ends: veth hands a
//! locally built packet over with an unfinished checksum, and a program that
//! redirects it natively would send it on like that. GRO is switched on, which
//! turns NAPI on: frames redirected into a veth whose far end has neither NAPI
//! nor a program are lost.

use crate::lab::Namespace;

/// One end of a link.
pub struct End {
    namespace: Namespace,
    interface: String,
    addresses: Vec<String>,
    mac: Option<String>,
    mtu: Option<u32>,
    offload: bool,
}

/// An end called `interface` in `namespace`.
pub fn end(namespace: &Namespace, interface: &str) -> End {
    End {
        namespace: namespace.clone(),
        interface: interface.into(),
        addresses: Vec::new(),
        mac: None,
        mtu: None,
        offload: false,
    }
}

impl End {
    /// Gives it an address with a prefix length: `10.0.1.1/24`.
    #[must_use]
    pub fn address(mut self, address: &str) -> End {
        self.addresses.push(address.into());
        self
    }

    /// Gives it a MAC address.
    #[must_use]
    pub fn mac(mut self, mac: &str) -> End {
        self.mac = Some(mac.into());
        self
    }

    /// Gives it an MTU; the other end keeps its own.
    #[must_use]
    pub fn mtu(mut self, mtu: u32) -> End {
        self.mtu = Some(mtu);
        self
    }

    /// Leaves transmit checksum offload as the kernel has it: on.
    #[must_use]
    pub fn offload(mut self) -> End {
        self.offload = true;
        self
    }

    fn configure(&self) -> anyhow::Result<()> {
        let (ns, name) = (&self.namespace, &self.interface);
        if let Some(mac) = &self.mac {
            ns.run(&format!("ip link set {name} address {mac}"))?;
        }
        if let Some(mtu) = self.mtu {
            ns.run(&format!("ip link set {name} mtu {mtu}"))?;
        }
        for address in &self.addresses {
            ns.run(&format!("ip address add {address} dev {name}"))?;
        }
        let tx = if self.offload { "on" } else { "off" };
        ns.run(&format!("ethtool -K {name} tx {tx} gro on"))?;
        ns.run(&format!("ip link set {name} up")).map(drop)
    }
}

pub(super) fn create(a: &End, b: &End) -> anyhow::Result<()> {
    let (here, there) = (&a.interface, &b.interface);
    let other = b.namespace.unique_name();
    // Made inside, so that names need to be unique only there.
    a.namespace.run(&format!(
        "ip link add {here} type veth peer name {there} netns {other}"
    ))?;
    a.configure()?;
    b.configure()
}
