//! `SO_PEERGROUPS`: the groups of who has connected, as they were then. No crate
//! has this option.

use std::io;
use std::os::fd::AsRawFd;

/// The most groups that a process has (`NGROUPS_MAX`).
const GROUPS: usize = 65_536;

/// All of them.
#[expect(unsafe_code, reason = "no crate has this option")]
pub(super) fn peer_groups(socket: &impl AsRawFd) -> io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; 32];
    loop {
        let bytes = size_of_val(groups.as_slice());
        let mut length = libc::socklen_t::try_from(bytes).map_err(io::Error::other)?;
        // SAFETY: the descriptor is open; the kernel writes at most `length` bytes
        // of `groups`, which is exclusively ours, and `length` itself.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let count = length as usize / size_of::<u32>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // Too small a buffer: the kernel says how large it must be.
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() || count > GROUPS {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}
