//! How much each source of kernel routes is trusted.

use crate::route::Distance;

/// What routes have whose protocol nobody named.
const OTHER: Distance = Distance(150);

/// Known protocols of rtnetlink.h and their administrative distances, in the
/// order of `[kernel.distances]`.
const KNOWN: [(u8, u8); 13] = [
    (2, 0),     // kernel: connected
    (3, 1),     // boot: by hand, `ip route add`
    (4, 1),     // static
    (9, 200),   // ra
    (11, 150),  // zebra
    (12, 150),  // bird
    (16, 200),  // dhcp
    (42, 100),  // babel
    (186, 20),  // bgp
    (187, 115), // isis
    (188, 110), // ospf
    (189, 120), // rip
    (192, 90),  // eigrp
];

/// Administrative distances of foreign routes, by their kernel protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Distances {
    by_protocol: [Distance; 256],
}

impl Default for Distances {
    fn default() -> Self {
        let mut by_protocol = [OTHER; 256];
        for (protocol, distance) in KNOWN {
            by_protocol[usize::from(protocol)] = Distance(distance);
        }
        Distances { by_protocol }
    }
}

impl Distances {
    /// The distance of a protocol's routes.
    pub fn get(&self, protocol: u8) -> Distance {
        self.by_protocol[usize::from(protocol)]
    }

    /// Sets it.
    pub fn set(&mut self, protocol: u8, distance: Distance) {
        self.by_protocol[usize::from(protocol)] = distance;
    }
}
