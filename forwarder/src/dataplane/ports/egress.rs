//! Whether frames can be redirected to a port.
//!
//! Called by [`super::Ports`] for each port, and by the doctor for what a veth
//! needs. Linux tells since 6.3 what a device takes ([`Features`]).

use forwarder_core::config::Attach;
use forwarder_core::interface::Interface;

use super::AttachedPort;
use crate::dataplane::features::Features;

/// What is the same for all ports.
#[derive(Clone, Copy)]
pub(super) struct Ways<'a> {
    pub(super) features: &'a Features,
    /// Frames arrive by native XDP somewhere.
    pub(super) any_native: bool,
    pub(super) attach: Attach,
    /// The running kernel's first two numbers.
    pub(super) kernel: Option<(u32, u32)>,
}

impl Ways<'_> {
    /// Whether this port is a way out, and why not.
    pub(super) fn egress(
        self,
        interface: &Interface,
        port: &AttachedPort,
    ) -> Result<(), &'static str> {
        if !interface.up {
            return Err("down");
        }
        if !interface.carrier {
            return Err("no carrier");
        }
        if port.failing {
            return Err("every redirected frame was lost (tx-error); tried again later");
        }
        // Frames that arrive by native XDP need the device's ndo_xdp_xmit;
        // those of generic mode leave by its ordinary transmit queue.
        if self.any_native {
            self.takes_native(interface)
        } else {
            Ok(())
        }
    }

    fn takes_native(self, interface: &Interface) -> Result<(), &'static str> {
        match self.features.takes_redirects(interface.ifindex.0) {
            Some(false) => {
                Err("takes no redirected frames (veth: the peer needs an XDP program or GRO)")
            }
            None if interface.kind == "veth" => unknown_veth(self.kernel, self.attach),
            Some(true) | None => Ok(()),
        }
    }
}

/// A veth on a kernel that does not tell of its peer. It accepts each redirect
/// and loses the frame unless the peer receives by NAPI (`veth_xdp_xmit`), and
/// whether it does is seen only in the peer's namespace.
pub fn unknown_veth(kernel: Option<(u32, u32)>, attach: Attach) -> Result<(), &'static str> {
    if kernel.is_some_and(|version| version < (5, 13)) {
        return Err(
            "takes no redirected frames: before Linux 5.13 the peer of a veth receives them only \
             with an XDP program of its own",
        );
    }
    if attach == Attach::Native {
        return Ok(());
    }
    Err(
        "this kernel does not tell whether the peer of a veth receives redirected frames (before \
         Linux 6.3); `attach = \"native\"` says that all do",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `attach = "native"` is the operator's word for GRO, which before 5.13 is
    /// not enough.
    #[test]
    fn the_word_of_the_operator_counts_where_gro_is_enough() {
        for (kernel, attach, takes) in [
            (Some((5, 10)), Attach::Native, false),
            (Some((5, 10)), Attach::Auto, false),
            (Some((5, 13)), Attach::Native, true),
            (Some((6, 1)), Attach::Auto, false),
            (None, Attach::Native, true),
            (None, Attach::Auto, false),
        ] {
            assert_eq!(unknown_veth(kernel, attach).is_ok(), takes, "{kernel:?}");
        }
    }
}
