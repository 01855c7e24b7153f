//! A point-to-point link: a TUN device. It has carrier while somebody holds it
//! open, and whatever is sent over it waits to be read.

use std::fs::File;
use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, ensure};
use nix::libc::{self, c_char, ifreq};

use super::Namespace;

const DEVICE: &str = "/dev/net/tun";

/// The device; it goes when this is dropped.
#[derive(Debug)]
pub struct Tun {
    _open: File,
}

impl Namespace {
    /// Makes a TUN device with this name, set up; `None` = this machine has none.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn tun(&self, name: &str) -> anyhow::Result<Option<Tun>> {
        if !std::path::Path::new(DEVICE).exists() {
            return Ok(None);
        }
        let open = self.enter(|| open(name).with_context(|| format!("making {name}")))?;
        self.run(&format!("ip link set {name} up"))?;
        Ok(Some(Tun { _open: open }))
    }
}

nix::ioctl_write_ptr_bad!(set_interface, libc::TUNSETIFF, ifreq);

#[expect(unsafe_code, reason = "no crate of ours makes TUN devices")]
fn open(name: &str) -> anyhow::Result<File> {
    let file = File::options().read(true).write(true).open(DEVICE)?;
    let mut ifr_name: [c_char; libc::IFNAMSIZ] = [0; libc::IFNAMSIZ];
    // The last byte stays 0.
    ensure!(name.len() < ifr_name.len(), "the name is too long");
    for (to, from) in ifr_name.iter_mut().zip(name.bytes()) {
        *to = c_char::try_from(from)?;
    }
    let flags = libc::IFF_TUN | libc::IFF_NO_PI;
    let request = ifreq {
        ifr_name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_flags: libc::c_short::try_from(flags)?,
        },
    };
    // SAFETY: the descriptor is open, and the kernel reads name and flags of a
    // request that lives longer than the call.
    unsafe { set_interface(file.as_raw_fd(), &raw const request) }?;
    Ok(file)
}
