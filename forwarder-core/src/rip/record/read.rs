//! From records back to the engine's types. A file can hold anything, so everything
//! is checked that the configuration checks where the engine relies on it.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;

use super::lines::{
    AuthRecord, EngineRecord, InterfaceRecord, KeyRecord, SubnetRecord, TuningRecord, What,
    WindowRecord,
};
use crate::net::{Family, Ifindex};
use crate::rip::auth::stand_in;
use crate::rip::{
    Address, Auth, AuthLength, AuthType, Clear, Config, Datagram, Input, InterfaceConfig,
    InterfaceSetup, Key, KeyError, Metric, ReceiveVersion, Redistribute, SendVersion, SplitHorizon,
    Timers, Tuning, UnixTime, Window, Wire,
};

/// Timers that the engine can reckon with, in microseconds; the configuration's are
/// within them.
const TIMER: RangeInclusive<u64> = 1..=24 * 60 * 60 * 1_000_000;
/// The same of counts.
const COUNT: RangeInclusive<usize> = 1..=1 << 30;

/// Why a record cannot be played.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unfit {
    /// IPv4 for RIPng, or IPv6 for RIP.
    #[error("{0} is of another address family than the engine")]
    Family(String),
    /// Not 1 to 16, or 16 where that makes no sense.
    #[error("{0} is no metric here")]
    Metric(u8),
    /// A timer that no daemon can have.
    #[error("{0} of {1} µs is out of range")]
    Timer(&'static str, u64),
    /// A limit that no daemon can have.
    #[error("{0} of {1} is out of range")]
    Count(&'static str, usize),
    /// A word that is not one of those that can be there.
    #[error("{1:?} is no {0}")]
    Word(&'static str, String),
    /// Keys that no daemon can have.
    #[error("unusable keys: {0}")]
    Keys(#[from] KeyError),
    /// The engine speaks another protocol than this player.
    #[error("the engine speaks another protocol")]
    Protocol,
    /// The engine's clock never does that.
    #[error("its time is before that of the record above")]
    Backwards,
}

pub(super) fn config(record: &EngineRecord) -> Result<Config, Unfit> {
    Ok(Config {
        tuning: tuning(&record.tuning)?,
        seed: record.seed,
        sequence: record.sequence,
    })
}

pub(super) fn input<F: Wire>(what: &What) -> Result<Input<'_, F>, Unfit> {
    Ok(match what {
        What::Datagram {
            ifindex,
            source,
            port,
            hop_limit,
            multicast,
            payload,
        } => Input::Datagram(Datagram {
            ifindex: Ifindex(*ifindex),
            source: address::<F>(*source)?,
            source_port: *port,
            hop_limit: *hop_limit,
            multicast: *multicast,
            payload: &payload.0,
        }),
        What::Deadline => Input::Deadline,
        What::InterfaceUp(record) => Input::InterfaceUp(interface(record)?),
        What::InterfaceDown(ifindex) => Input::InterfaceDown(Ifindex(*ifindex)),
        What::InterfaceRemove(ifindex) => Input::InterfaceRemove(Ifindex(*ifindex)),
        What::Redistribute {
            prefix,
            metric,
            tag,
            next_hop,
        } => Input::Redistribute(Redistribute::Update {
            prefix: net::<F>(*prefix)?,
            metric: self::metric(*metric)?,
            tag: *tag,
            next_hop: next_hop.map(address::<F>).transpose()?,
        }),
        What::RedistributeNoMore { prefix } => Input::Redistribute(Redistribute::Withdraw {
            prefix: net::<F>(*prefix)?,
        }),
        What::Request(ifindex) => Input::Request(Ifindex(*ifindex)),
        What::ClearNeighbor(neighbor) => Input::Clear(Clear::Neighbor(address::<F>(*neighbor)?)),
        What::ClearRoutes => Input::Clear(Clear::Routes),
        What::ClearCounters => Input::Clear(Clear::Counters),
        What::Reconfigure(record) => Input::Reconfigure(tuning(record)?),
        What::WallClock(time) => Input::WallClock(UnixTime(*time)),
        What::Shutdown => Input::Shutdown,
    })
}

fn interface<F: Wire>(record: &InterfaceRecord) -> Result<InterfaceSetup<F>, Unfit> {
    let cost = metric(record.cost)?;
    if !cost.is_reachable() {
        return Err(Unfit::Metric(record.cost));
    }
    let neighbors = record.neighbors.iter().copied().map(address::<F>);
    let addresses = record.addresses.iter().map(subnet);
    Ok(InterfaceSetup {
        ifindex: Ifindex(record.ifindex),
        name: record.name.clone(),
        mtu: record.mtu,
        addresses: addresses.collect::<Result<_, _>>()?,
        config: InterfaceConfig {
            passive: record.passive,
            send_version: word(
                "send-version",
                &record.send_version,
                [SendVersion::V1, SendVersion::Compatible, SendVersion::V2],
                SendVersion::name,
            )?,
            receive_version: word(
                "receive-version",
                &record.receive_version,
                [ReceiveVersion::V1, ReceiveVersion::V2, ReceiveVersion::Both],
                ReceiveVersion::name,
            )?,
            split_horizon: word(
                "split-horizon",
                &record.split_horizon,
                [
                    SplitHorizon::Off,
                    SplitHorizon::Simple,
                    SplitHorizon::Poison,
                ],
                SplitHorizon::name,
            )?,
            cost,
            neighbors: neighbors.collect::<Result<_, _>>()?,
            auth: record.auth.as_ref().map(auth).transpose()?,
            ttl_security: record.ttl_security,
            max_neighbors: count("max-neighbors", record.max_neighbors)?,
            max_neighbor_routes: count("max-neighbor-routes", record.max_neighbor_routes)?,
            pace: count("pace", record.pace)?,
        },
    })
}

/// The keys, with stand-ins for their secrets.
pub(super) fn auth(record: &AuthRecord) -> Result<Auth, Unfit> {
    let kind = word(
        "authentication",
        &record.kind,
        AuthType::ALL,
        AuthType::name,
    )?;
    let length = match record.long {
        true => AuthLength::OldRipd,
        false => AuthLength::Rfc,
    };
    let key = |key: &KeyRecord| Key {
        id: key.id,
        secret: stand_in(key.secret),
        send: window(key.send),
        accept: window(key.accept),
    };
    Ok(Auth::new(
        kind,
        length,
        record.keys.iter().map(key).collect(),
    )?)
}

fn window(record: WindowRecord) -> Window {
    Window {
        from: record.from.map(UnixTime),
        until: record.until.map(UnixTime),
    }
}

fn subnet<F: Family>(record: &SubnetRecord) -> Result<Address<F>, Unfit> {
    Ok(Address {
        local: address::<F>(record.local)?,
        subnet: net::<F>(record.subnet)?,
    })
}

fn tuning(record: &TuningRecord) -> Result<Tuning, Unfit> {
    Ok(Tuning {
        timers: Timers {
            update: timer("update", record.update)?,
            timeout: timer("timeout", record.timeout)?,
            garbage: timer("garbage", record.garbage)?,
        },
        max_routes: count("max-routes", record.max_routes)?,
        paths: count("ecmp", record.paths)?,
        settle: match record.settle {
            0 => Duration::ZERO,
            settle => timer("settle", settle)?,
        },
    })
}

fn timer(name: &'static str, micros: u64) -> Result<Duration, Unfit> {
    let fits = TIMER.contains(&micros);
    fits.then_some(Duration::from_micros(micros))
        .ok_or(Unfit::Timer(name, micros))
}

fn count(name: &'static str, number: usize) -> Result<usize, Unfit> {
    let fits = COUNT.contains(&number);
    fits.then_some(number).ok_or(Unfit::Count(name, number))
}

fn metric(value: u8) -> Result<Metric, Unfit> {
    Metric::new(value.into()).ok_or(Unfit::Metric(value))
}

fn address<F: Family>(address: IpAddr) -> Result<F::Addr, Unfit> {
    F::from_ip(address).ok_or_else(|| Unfit::Family(address.to_string()))
}

fn net<F: Family>(net: IpNet) -> Result<F::Prefix, Unfit> {
    F::from_net(net).ok_or_else(|| Unfit::Family(net.to_string()))
}

fn word<T: Copy, const N: usize>(
    what: &'static str,
    word: &str,
    all: [T; N],
    name: fn(T) -> &'static str,
) -> Result<T, Unfit> {
    let mut all = all.into_iter();
    all.find(|value| name(*value) == word)
        .ok_or_else(|| Unfit::Word(what, word.to_owned()))
}
