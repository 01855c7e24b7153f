//! NICs that take the VLAN tag off a received frame and tell it beside the
//! frame, where an XDP program does not see it: VLAN 10 would look like the
//! untagged network. Switched off here on ports with VLAN sub-interfaces.
//!
//! By the `ETHTOOL_*FEATURES` ioctls (`include/uapi/linux/ethtool.h`), which
//! every kernel and driver has; their netlink form is of 5.10 and needs a
//! family of its own to be spoken. Called by `ports`.
#![expect(unsafe_code, reason = "ioctl takes pointers")]

use std::ffi::CString;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixDatagram;

const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETHTOOL_SFEATURES: u32 = 0x3b;
const ETH_SS_FEATURES: u32 = 4;
/// `ETH_GSTRING_LEN`, in words.
const STRING_WORDS: usize = 8;
/// More features than any kernel has (64 in 6.x): bounds what is allocated.
const MOST_FEATURES: u32 = 1024;

/// Stripping of 802.1Q and of 802.1ad tags.
const STRIPPING: [&str; 2] = ["rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"];

/// The features that were switched off, to be switched on again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct SwitchedOff(Vec<u32>);

impl SwitchedOff {
    /// Those of both.
    pub(super) fn add(&mut self, other: SwitchedOff) {
        self.0.extend(other.0);
    }
}

/// Switches stripping off. A device without the feature does not strip. Fails
/// where it stays on, with the kernel's words or what the driver keeps.
pub(super) fn switch_off(name: &str) -> io::Result<SwitchedOff> {
    let device = Device::new(name)?;
    let Some(all) = device.names()? else {
        return Ok(SwitchedOff::default());
    };
    let bits: Vec<u32> = (0..).zip(&all).filter_map(is_stripping).collect();
    let active = device.active(&bits, all.len())?;
    if active.is_empty() {
        return Ok(SwitchedOff::default());
    }
    device.set(&active, false, all.len())?;
    let kept = device.active(&bits, all.len())?;
    if kept.is_empty() {
        return Ok(SwitchedOff(active));
    }
    let kept: Vec<&str> = kept.iter().map(|bit| all[*bit as usize].as_str()).collect();
    Err(io::Error::other(format!(
        "the driver keeps {} on",
        kept.join(", ")
    )))
}

/// Switches on what [`switch_off`] found on. A device that is gone needs none.
pub(super) fn restore(name: &str, switched_off: &SwitchedOff) -> io::Result<()> {
    if switched_off.0.is_empty() {
        return Ok(());
    }
    let device = Device::new(name)?;
    match device.names()? {
        Some(all) => device.set(&switched_off.0, true, all.len()),
        None => Ok(()),
    }
}

fn is_stripping((bit, name): (u32, &String)) -> Option<u32> {
    STRIPPING.contains(&name.as_str()).then_some(bit)
}

/// A device, and a socket to ask about it.
struct Device {
    socket: UnixDatagram,
    name: CString,
}

impl Device {
    fn new(name: &str) -> io::Result<Device> {
        Ok(Device {
            // Any socket will do.
            socket: UnixDatagram::unbound()?,
            name: CString::new(name)?,
        })
    }

    /// The names of all features, in the order of their bits; `None` where the
    /// device has none.
    fn names(&self) -> io::Result<Option<Vec<String>>> {
        // cmd, reserved, the mask of sets in two words, the length of the one.
        let mut info = [ETHTOOL_GSSET_INFO, 0, 0, 0, 0];
        let mask = u64::from(1u32 << ETH_SS_FEATURES).to_ne_bytes();
        info[2] = u32::from_ne_bytes([mask[0], mask[1], mask[2], mask[3]]);
        info[3] = u32::from_ne_bytes([mask[4], mask[5], mask[6], mask[7]]);
        match self.ask(&mut info) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return Ok(None),
            other => other?,
        }
        let count = info[4].min(MOST_FEATURES);
        let mut request = vec![ETHTOOL_GSTRINGS, ETH_SS_FEATURES, count];
        request.resize(3 + count as usize * STRING_WORDS, 0);
        self.ask(&mut request)?;
        Ok(Some(request[3..].chunks(STRING_WORDS).map(text).collect()))
    }

    /// Which of these features are on.
    fn active(&self, bits: &[u32], all: usize) -> io::Result<Vec<u32>> {
        let blocks = all.div_ceil(32);
        let mut request = vec![ETHTOOL_GFEATURES, blocks as u32];
        // A block of each: available, requested, active, never changed.
        request.resize(2 + blocks * 4, 0);
        self.ask(&mut request)?;
        let is_active =
            |bit: &u32| request[2 + (bit / 32) as usize * 4 + 2] & (1 << (bit % 32)) != 0;
        Ok(bits.iter().copied().filter(is_active).collect())
    }

    /// Asks for them to be on or off; what the driver makes of it is for
    /// [`Device::active`] to tell.
    fn set(&self, bits: &[u32], on: bool, all: usize) -> io::Result<()> {
        let blocks = all.div_ceil(32);
        let mut request = vec![ETHTOOL_SFEATURES, blocks as u32];
        // A block of each: valid, requested.
        request.resize(2 + blocks * 2, 0);
        for bit in bits {
            let block = 2 + (bit / 32) as usize * 2;
            request[block] |= 1 << (bit % 32);
            request[block + 1] |= u32::from(on) << (bit % 32);
        }
        self.ask(&mut request)
    }

    fn ask(&self, request: &mut [u32]) -> io::Result<()> {
        // SAFETY: plain integers and a pointer, of which zero is a value.
        let mut ifreq: libc::ifreq = unsafe { std::mem::zeroed() };
        // The last byte stays zero.
        let room = ifreq.ifr_name.len() - 1;
        for (to, from) in ifreq.ifr_name[..room].iter_mut().zip(self.name.to_bytes()) {
            *to = from.cast_signed();
        }
        ifreq.ifr_ifru.ifru_data = request.as_mut_ptr().cast();
        // SAFETY: the socket is open; `ifreq` names a buffer that each request's
        // own length field describes, so that the kernel stays within it.
        let result =
            unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut ifreq) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// A string of 32 bytes that ends at the first zero.
fn text(words: &[u32]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `lo` is there in every namespace, has features, and none that strip.
    #[test]
    fn a_device_that_does_not_strip_is_left_alone() {
        assert_eq!(switch_off("lo").unwrap(), SwitchedOff::default());
        restore("lo", &SwitchedOff::default()).unwrap();
    }

    #[test]
    fn the_kernel_names_the_features_that_are_asked_for() {
        let names = Device::new("lo").unwrap().names().unwrap().unwrap();
        for wanted in STRIPPING {
            assert!(
                names.iter().any(|name| name == wanted),
                "{wanted}: {names:?}"
            );
        }
    }

    #[test]
    fn a_device_that_is_gone_is_an_error() {
        let error = switch_off("no-such-device").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
