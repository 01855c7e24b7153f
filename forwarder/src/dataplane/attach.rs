//! Puts the XDP program on one device, in the best way the device allows.
//!
//! The order of attempts: multi-buffer native, plain native, generic. Each
//! refusal is kept in the kernel's own words, because it is what tells an
//! operator how to get the better mode. Called by `ports`.

use std::io;

use aya::programs::xdp::XdpLinkId;
use aya::programs::{ProgramError, XdpMode};
use forwarder_common::abi::program;
use forwarder_core::config::Attach;
use thiserror::Error;

use super::object::{LoadError, Object};

/// Where in the stack the program runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// In the driver.
    Native,
    /// After the driver has built a socket buffer.
    Generic,
}

impl Mode {
    /// As shown to people and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Native => "native",
            Mode::Generic => "generic",
        }
    }
}

/// A program on a device.
#[derive(Debug)]
pub struct Attachment {
    /// Which of the two programs.
    pub program: &'static str,
    /// Where it runs.
    pub mode: Mode,
    /// What was tried before and refused, in the kernel's words.
    pub refused: Vec<String>,
    link: XdpLinkId,
}

/// Why a device has no program of ours.
#[derive(Debug, Error)]
pub enum AttachError {
    /// Somebody else's program is there.
    #[error(
        "another XDP program is attached to {0}: stop its owner or remove it with \
         `ip link set dev {0} xdp off` (`bpftool net` shows it), or leave {0} out of \
         [dataplane] interfaces"
    )]
    Busy(String),
    /// Every way was refused.
    #[error("no XDP program could be attached to {name}: {}", refused.join("; "))]
    Refused {
        /// The device.
        name: String,
        /// Each attempt with the kernel's words.
        refused: Vec<String>,
    },
    /// Nothing is wrong with it, but our tables have no room for it.
    #[error("{name} is left to the kernel: {why}")]
    NoRoom {
        /// The device.
        name: String,
        /// Which table.
        why: String,
    },
}

/// Attaches to a device. `software` says that it is a veth or a tap.
pub fn attach(
    object: &mut Object,
    (ifindex, name): (u32, &str),
    policy: Attach,
    software: bool,
) -> Result<Attachment, AttachError> {
    let mut refused = Vec::new();
    if policy != Attach::Generic
        && let Some(why) = &object.frags_refused
    {
        refused.push(format!("native, multi-buffer: {why}"));
    }
    for (program, mode) in attempts(object, policy, software) {
        match try_attach(object, ifindex, program, mode) {
            Ok(link) => {
                return Ok(Attachment {
                    program,
                    mode,
                    refused,
                    link,
                });
            }
            Err(error) if is_busy(&error) => return Err(AttachError::Busy(name.into())),
            Err(error) => refused.push(format!("{}: {}", describe(program, mode), words(&error))),
        }
    }
    Err(AttachError::Refused {
        name: name.into(),
        refused,
    })
}

/// Puts the same program of another object in the place of this one, without a
/// packet between them that meets none (`bpf_link_update`).
pub fn hand_over(
    old: &mut Object,
    new: &mut Object,
    attachment: Attachment,
) -> Result<Attachment, AttachError> {
    let name = attachment.program;
    let moved = old.xdp(name).map_err(|error| error.to_string());
    let moved = moved.and_then(|old| old.take_link(attachment.link).map_err(|e| words(&e)));
    let moved = moved.and_then(|link| {
        let program = new.xdp(name).map_err(|error| error.to_string())?;
        program.attach_to_link(link).map_err(|e| words(&e))
    });
    match moved {
        Ok(link) => Ok(Attachment { link, ..attachment }),
        Err(why) => Err(AttachError::Refused {
            name: name.into(),
            refused: vec![why],
        }),
    }
}

/// Removes the program; a device that is gone took it along.
pub fn detach(object: &mut Object, attachment: Attachment) {
    if let Ok(program) = object.xdp(attachment.program)
        && let Err(error) = program.detach(attachment.link)
    {
        tracing::debug!("detach: {error}");
    }
}

fn attempts(object: &Object, policy: Attach, software: bool) -> Vec<(&'static str, Mode)> {
    let mut attempts = Vec::new();
    // Locally built packets leave a veth or a tap with an unfinished L4
    // checksum that a native redirect would keep; generic mode completes it.
    if policy == Attach::Native || (policy == Attach::Auto && !software) {
        if object.frags_refused.is_none() {
            attempts.push((program::FORWARD_FRAGS, Mode::Native));
        }
        attempts.push((program::FORWARD, Mode::Native));
    }
    if policy != Attach::Native {
        attempts.push((program::FORWARD, Mode::Generic));
    }
    attempts
}

fn try_attach(
    object: &mut Object,
    ifindex: u32,
    program: &'static str,
    mode: Mode,
) -> Result<XdpLinkId, ProgramError> {
    let mode = match mode {
        Mode::Native => XdpMode::Driver,
        Mode::Generic => XdpMode::Skb,
    };
    match object.xdp(program) {
        Ok(program) => program.attach_to_if_index(ifindex, mode),
        Err(LoadError::Program { source, .. }) => Err(source),
        Err(_) => Err(ProgramError::NotLoaded),
    }
}

fn describe(program: &str, mode: Mode) -> &'static str {
    match (mode, program) {
        (Mode::Native, program::FORWARD_FRAGS) => "native, multi-buffer",
        (Mode::Native, _) => "native",
        (Mode::Generic, _) => "generic",
    }
}

fn is_busy(error: &ProgramError) -> bool {
    let code = os_error(error).and_then(|error| error.raw_os_error());
    matches!(code, Some(libc::EBUSY | libc::EEXIST))
}

/// The innermost error: the kernel's own words.
fn words(error: &ProgramError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn os_error(error: &ProgramError) -> Option<&io::Error> {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = current.source();
    }
    None
}
