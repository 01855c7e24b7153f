//! `struct rt_metrics`.

use super::bytes::{put_u64, u64_at};
use super::number::offset;

/// The metrics of a route. Units as in `net/route.h`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Metrics {
    /// Which of them are locked (`RTV_*`).
    pub locks: u64,
    /// Bytes.
    pub mtu: u64,
    /// Hops.
    pub hopcount: u64,
    /// Seconds since 1970; 0 = never.
    pub expire: u64,
    /// Bytes.
    pub recvpipe: u64,
    /// Bytes.
    pub sendpipe: u64,
    /// Bytes.
    pub ssthresh: u64,
    /// Microseconds.
    pub rtt: u64,
    /// Microseconds.
    pub rttvar: u64,
    /// Packets that took the route, where they are counted.
    pub pksent: u64,
    /// Share of the traffic among several ways.
    pub weight: u64,
    /// Number of the next hop; of a hold, its number.
    pub nhidx: u64,
    /// Administrative distance.
    pub metric: u64,
}

impl Metrics {
    fn fields(&mut self) -> [(usize, &mut u64); 13] {
        [
            (offset::LOCKS, &mut self.locks),
            (offset::MTU, &mut self.mtu),
            (offset::HOPCOUNT, &mut self.hopcount),
            (offset::EXPIRE, &mut self.expire),
            (offset::RECVPIPE, &mut self.recvpipe),
            (offset::SENDPIPE, &mut self.sendpipe),
            (offset::SSTHRESH, &mut self.ssthresh),
            (offset::RTT, &mut self.rtt),
            (offset::RTTVAR, &mut self.rttvar),
            (offset::PKSENT, &mut self.pksent),
            (offset::WEIGHT, &mut self.weight),
            (offset::NHIDX, &mut self.nhidx),
            (offset::METRIC, &mut self.metric),
        ]
    }

    /// Of a header.
    pub(super) fn read(header: &[u8]) -> Metrics {
        let mut metrics = Metrics::default();
        for (offset, field) in metrics.fields() {
            *field = u64_at(header, offset);
        }
        metrics
    }

    /// Into a header.
    pub(super) fn write(mut self, header: &mut [u8]) {
        for (offset, field) in self.fields() {
            put_u64(header, offset, *field);
        }
    }
}
