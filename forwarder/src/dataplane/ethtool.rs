//! What a device's driver says of itself: its name, its queues, its offloads.
//!
//! The ioctl `SIOCETHTOOL` (`include/uapi/linux/ethtool.h`), reading only.
//! Called by `doctor`.
//!
//! Not the crate `ethtool`: it speaks the netlink family, which does not tell
//! the driver's name, and it would bring a second set of netlink crates.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// `SIOCETHTOOL`.
const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETHTOOL_GCHANNELS: u32 = 0x3c;
/// `ETH_SS_FEATURES`.
const FEATURE_NAMES: u32 = 4;
/// `ETH_GSTRING_LEN`.
const NAME_LEN: usize = 32;
/// `sizeof(struct ethtool_drvinfo)`.
const DRIVER_INFO_LEN: usize = 196;
/// `sizeof(struct ethtool_channels)`.
const CHANNELS_LEN: usize = 36;
/// `sizeof(struct ethtool_sset_info)` with one count.
const SET_INFO_LEN: usize = 20;
/// `sizeof(struct ethtool_gstrings)` before the strings.
const STRINGS_LEN: usize = 12;
/// `sizeof(struct ethtool_gfeatures)` before the blocks, and of a block.
const FEATURES_LEN: usize = 8;
const BLOCK_LEN: usize = 16;
/// No kernel has near as many features.
const FEATURES_MAX: u32 = 4096;

/// Queues of a device: how many there are, and may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Channels {
    /// Most that only receive, only send, and do both.
    pub max: Queues,
    /// Those in use.
    pub now: Queues,
}

/// Numbers of queues by what they do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Queues {
    /// Only receive.
    pub rx: u32,
    /// Only send.
    pub tx: u32,
    /// Do both.
    pub combined: u32,
}

/// An offload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offload {
    /// It is on.
    pub on: bool,
    /// It can be switched.
    pub changeable: bool,
}

/// Asks about the devices of the network namespace it was opened in.
#[derive(Debug)]
pub struct Ethtool {
    socket: OwnedFd,
}

impl Ethtool {
    /// In the network namespace of the calling thread.
    pub fn open() -> io::Result<Ethtool> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
        Ok(Ethtool { socket })
    }

    /// The driver's name: "ixgbe".
    pub fn driver(&self, device: &str) -> io::Result<String> {
        let mut info = command(ETHTOOL_GDRVINFO, DRIVER_INFO_LEN);
        self.ask(device, &mut info)?;
        Ok(text(info.get(4..4 + NAME_LEN)))
    }

    /// The queues; `None` where the driver has no such setting.
    pub fn channels(&self, device: &str) -> io::Result<Option<Channels>> {
        let mut channels = command(ETHTOOL_GCHANNELS, CHANNELS_LEN);
        match self.ask(device, &mut channels) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return Ok(None),
            result => result?,
        }
        // Behind the command: rx, tx, other, combined at most; the same now.
        let queues = |first: usize| Queues {
            rx: word(&channels, first),
            tx: word(&channels, first + 1),
            combined: word(&channels, first + 3),
        };
        Ok(Some(Channels {
            max: queues(1),
            now: queues(5),
        }))
    }

    /// The offloads by the kernel's names: "rx-vlan-hw-parse".
    pub fn offloads(&self, device: &str) -> io::Result<BTreeMap<String, Offload>> {
        let names = self.feature_names(device)?;
        let blocks = names.len().div_ceil(32);
        let mut features = command(ETHTOOL_GFEATURES, FEATURES_LEN + blocks * BLOCK_LEN);
        put(&mut features, 1, blocks as u32);
        self.ask(device, &mut features)?;
        let known = names.into_iter().enumerate();
        Ok(known
            .filter(|(_, name)| !name.is_empty())
            .map(|(bit, name)| (name, offload(&features, bit)))
            .collect())
    }

    /// In the order of their bits; bits without a name are empty.
    fn feature_names(&self, device: &str) -> io::Result<Vec<String>> {
        let mut set = command(ETHTOOL_GSSET_INFO, SET_INFO_LEN);
        let mask: u64 = 1 << FEATURE_NAMES;
        if let Some(field) = set.get_mut(8..16) {
            field.copy_from_slice(&mask.to_ne_bytes());
        }
        self.ask(device, &mut set)?;
        let count = word(&set, 4);
        if count > FEATURES_MAX {
            return Err(io::Error::other(format!("{count} features are too many")));
        }
        let len = STRINGS_LEN + count as usize * NAME_LEN;
        let mut strings = command(ETHTOOL_GSTRINGS, len);
        put(&mut strings, 1, FEATURE_NAMES);
        put(&mut strings, 2, count);
        self.ask(device, &mut strings)?;
        let names = strings.get(STRINGS_LEN..).unwrap_or_default();
        Ok(names
            .chunks(NAME_LEN)
            .map(|name| text(Some(name)))
            .collect())
    }

    /// Lets the kernel answer into `buffer`, which begins with a command and is
    /// as long as that command's answer.
    fn ask(&self, device: &str, buffer: &mut [u8]) -> io::Result<()> {
        let mut name = [0; libc::IFNAMSIZ];
        let device = device.as_bytes();
        // Shorter than the field, so that it ends in a NUL.
        let field = name
            .get_mut(..device.len())
            .filter(|_| device.len() < libc::IFNAMSIZ);
        field
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))?
            .copy_from_slice(device);
        let mut request = libc::ifreq {
            ifr_name: name.map(u8::cast_signed),
            ifr_ifru: libc::__c_anonymous_ifr_ifru {
                ifru_data: buffer.as_mut_ptr().cast(),
            },
        };
        #[expect(unsafe_code, reason = "no crate in use has the ethtool ioctl")]
        // SAFETY: `request` is a valid `struct ifreq` whose name ends in a NUL.
        // The kernel reads and writes behind `ifru_data` at most the length of
        // the command's structure, whose counts are in it and which the callers
        // have made `buffer` long enough for; `buffer` outlives the call.
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
        nix::errno::Errno::result(result)?;
        Ok(())
    }
}

fn command(number: u32, len: usize) -> Vec<u8> {
    let mut buffer = vec![0; len];
    put(&mut buffer, 0, number);
    buffer
}

/// Writes the word with this index.
fn put(buffer: &mut [u8], index: usize, value: u32) {
    if let Some(field) = buffer.get_mut(4 * index..4 * index + 4) {
        field.copy_from_slice(&value.to_ne_bytes());
    }
}

/// The word with this index; 0 behind the end.
fn word(buffer: &[u8], index: usize) -> u32 {
    let bytes = buffer.get(4 * index..4 * index + 4);
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_ne_bytes)
}

/// A NUL-terminated string.
fn text(bytes: Option<&[u8]>) -> String {
    let bytes = bytes.unwrap_or_default();
    let end = bytes.iter().position(|byte| *byte == 0);
    let bytes = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

/// A block is four words of bits: available, requested, active, never changed.
fn offload(features: &[u8], bit: usize) -> Offload {
    let first = (FEATURES_LEN + bit / 32 * BLOCK_LEN) / 4;
    let has = |index: usize| word(features, first + index) & (1 << (bit % 32)) != 0;
    Offload {
        on: has(2),
        changeable: has(0) && !has(3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_is_found_in_its_block() {
        let mut features = command(ETHTOOL_GFEATURES, FEATURES_LEN + 2 * BLOCK_LEN);
        // The second block: available, active.
        put(&mut features, 6, 1 << 3);
        put(&mut features, 8, 1 << 3);
        let on = Offload {
            on: true,
            changeable: true,
        };
        assert_eq!(offload(&features, 35), on);
        assert!(!offload(&features, 3).on);
        put(&mut features, 9, 1 << 3);
        assert!(!offload(&features, 35).changeable, "it never changes");
    }

    /// Every machine has it, and every user may ask.
    #[test]
    fn the_loopback_device_has_offloads_and_no_queues() {
        let ethtool = Ethtool::open().unwrap();
        let offloads = ethtool.offloads("lo").unwrap();
        assert!(offloads.contains_key("rx-vlan-hw-parse"), "{offloads:?}");
        assert!(offloads["loopback"].on, "{offloads:?}");
        assert!(!offloads["loopback"].changeable, "{offloads:?}");
        assert_eq!(ethtool.channels("lo").unwrap(), None);
    }

    #[test]
    fn a_device_that_is_not_there_is_an_error() {
        let ethtool = Ethtool::open().unwrap();
        for name in ["nothing0", "a-name-longer-than-any-device-has"] {
            let error = ethtool.driver(name).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENODEV), "{name}");
        }
    }
}
