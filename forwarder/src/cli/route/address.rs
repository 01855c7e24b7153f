//! Destinations as route(8) reads them: `10` is the host 0.0.0.10 and the
//! network 10.0.0.0, `192.168.64/20` a network, `default` the wildcard.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::names::Names;

/// What a word is to be read as.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Kind {
    /// As it looks.
    #[default]
    Any,
    /// `-net`.
    Net,
    /// `-host`.
    Host,
}

/// A destination, and whether it was meant as a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Destination {
    pub(super) net: IpNet,
    pub(super) is_net: bool,
}

/// Reads a destination. `length` is what `-netmask` or `-prefixlen` says.
///
/// # Errors
/// What is wrong with it, for the person at the keyboard.
pub(super) fn destination(
    text: &str,
    kind: Kind,
    ipv6: bool,
    length: Option<u8>,
    names: &Names,
) -> Result<Destination, String> {
    if text == "default" {
        let any: IpAddr = if ipv6 {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        };
        return net(any, length.unwrap_or(0), text);
    }
    if let Some((address, given)) = text.split_once('/') {
        let given = given
            .parse()
            .map_err(|_| format!("{text}: {given:?} is no prefix length"))?;
        return net(network(address, ipv6, names)?, given, text);
    }
    match (kind, length) {
        (Kind::Host, _) => host(address(text, ipv6, names)?),
        (_, Some(length)) => net(network(text, ipv6, names)?, length, text),
        (Kind::Net, None) => {
            let address = network(text, ipv6, names)?;
            net(address, length_of(text, address), text)
        }
        (Kind::Any, None) => {
            if let (Some(address), false) = (names.network(text), ipv6) {
                return net(address.into(), classful(address), text);
            }
            match address(text, ipv6, names)? {
                // Without a host's part by its class it is a network, says
                // route(8) (`inet_lnaof`).
                IpAddr::V4(number) if inet_aton(text).is_some_and(has_no_host) => {
                    net(number.into(), classful(number), text)
                }
                found => host(found),
            }
        }
    }
}

fn has_no_host(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    let host = match address.octets()[0] {
        0..=127 => 0x00ff_ffff,
        128..=191 => 0xffff,
        _ => 0xff,
    };
    bits & host == 0
}

/// Reads the address of a host or gateway.
///
/// # Errors
/// As for [`destination`].
pub(super) fn address(text: &str, ipv6: bool, names: &Names) -> Result<IpAddr, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return of_family(address, ipv6, text);
    }
    if let Some(address) = (!ipv6).then(|| inet_aton(text)).flatten() {
        return Ok(address.into());
    }
    let named = names.host(text);
    let named = named.or_else(|| names.network(text).map(Into::into));
    let unknown = || {
        format!(
            "bad address: {text} (neither an address nor a name in /etc/hosts or /etc/networks)"
        )
    };
    named.ok_or_else(unknown)
}

fn of_family(address: IpAddr, ipv6: bool, text: &str) -> Result<IpAddr, String> {
    if ipv6 && address.is_ipv4() {
        return Err(format!("bad address: {text} is IPv4, and -6 was said"));
    }
    Ok(address)
}

/// The number of a network: what is not said is zero.
fn network(text: &str, ipv6: bool, names: &Names) -> Result<IpAddr, String> {
    let parts: Vec<&str> = text.split('.').collect();
    let octets: Option<Vec<u8>> = parts.iter().map(|part| part.parse().ok()).collect();
    match octets {
        Some(octets) if !ipv6 && octets.len() <= 4 => {
            let mut bytes = [0; 4];
            bytes[..octets.len()].copy_from_slice(&octets);
            Ok(IpAddr::from(bytes))
        }
        _ => match names.network(text) {
            Some(address) if !ipv6 => Ok(address.into()),
            _ => address(text, ipv6, names),
        },
    }
}

/// Of a network without a mask: as many octets as were written, at least up to
/// the last that is not zero (`inet_makenetandmask`).
fn length_of(text: &str, address: IpAddr) -> u8 {
    let IpAddr::V4(address) = address else {
        return 64;
    };
    let written = text.split('.').count();
    let octets = address.octets();
    let last = octets.iter().rposition(|octet| *octet != 0);
    let significant = last.map_or(1, |last| last + 1);
    match (written, text.starts_with(|c: char| c.is_ascii_digit())) {
        (_, false) => classful(address),
        (4, true) => u8::try_from(significant * 8).unwrap_or(32),
        (written, true) => u8::try_from(written * 8).unwrap_or(32),
    }
}

fn classful(address: Ipv4Addr) -> u8 {
    let significant = address.octets().iter().rposition(|octet| *octet != 0);
    u8::try_from(significant.map_or(1, |last| last + 1) * 8).unwrap_or(32)
}

fn host(address: IpAddr) -> Result<Destination, String> {
    Ok(Destination {
        net: address.into(),
        is_net: false,
    })
}

fn net(address: IpAddr, length: u8, text: &str) -> Result<Destination, String> {
    let net = IpNet::new(address, length)
        .map_err(|_| format!("{text}: a prefix of this family has no length {length}"))?;
    if net.addr() != net.network() {
        let means = net.trunc();
        return Err(format!(
            "malformed address, bits set after mask; {text} means {means}"
        ));
    }
    Ok(Destination { net, is_net: true })
}

/// The length of a mask.
///
/// # Errors
/// It is none, or has holes.
pub(super) fn mask(text: &str) -> Result<u8, String> {
    let mask: IpAddr = text.parse().map_err(|_| format!("bad mask: {text}"))?;
    ipnet::ip_mask_to_prefix(mask).map_err(|_| format!("bad mask: {text} has holes"))
}

/// inet_aton(3) of fewer than four parts: the last takes what is left.
fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let parts: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
    let parts = parts?;
    let (last, heads) = parts.split_last()?;
    if heads.len() > 3 || heads.iter().any(|head| *head > 255) {
        return None;
    }
    let mut value = 0_u32;
    for (index, head) in heads.iter().enumerate() {
        value |= head << (24 - 8 * index);
    }
    let room = 32 - 8 * heads.len();
    (room == 32 || *last < 1 << room).then(|| Ipv4Addr::from(value | last))
}
