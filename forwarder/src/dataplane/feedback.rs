//! Finds ports that take redirected frames only to lose them.
//!
//! A driver without (enough) transmit queues for XDP accepts the redirect and
//! drops every frame; the program hears nothing of it, the transmit
//! tracepoints do. A port whose every frame of a period was lost is given back
//! to the kernel and tried again later, each time after twice the wait. Pure;
//! owned by the dataplane task, which reads the counters once a second.

use std::collections::BTreeMap;
use std::time::Duration;

use forwarder_common::abi::CounterRow;
use forwarder_common::reason::Reason;
use forwarder_core::net::Ifindex;
use forwarder_core::time::Instant;

/// First wait before a failing port is tried again.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// Longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(64);
/// Fewer losses than this in a period are no verdict.
const EVIDENCE: u64 = 4;
/// So many periods in a row are one. What is sent is counted from the first
/// loss on, so the first period says nothing of what was sent before it.
const STRIKES: u8 = 2;

#[derive(Debug, Default)]
struct Record {
    sent: u64,
    lost: u64,
    /// Set while the port is given to the kernel.
    retry_at: Option<Instant>,
    /// The wait after the next failure; zero = none yet.
    wait: Duration,
    /// Periods in a row in which frames were lost and none was sent.
    strikes: u8,
}

/// What to do with a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Hand what leaves by it to the kernel.
    Failing,
    /// Try redirecting again.
    TryAgain,
}

/// The transmit record of each port.
#[derive(Debug, Default)]
pub struct Feedback {
    records: BTreeMap<Ifindex, Record>,
}

impl Feedback {
    /// Takes in a port's counters, about once a second.
    pub fn sample(&mut self, now: Instant, port: Ifindex, row: &CounterRow) -> Option<Verdict> {
        let packets = |reason: Reason| row.reasons[reason as usize].packets;
        let (sent, lost) = (
            packets(Reason::TxSent),
            packets(Reason::TxError) + packets(Reason::TxDrop),
        );
        let record = self.records.entry(port).or_default();
        let new_sent = sent.saturating_sub(record.sent);
        let new_lost = lost.saturating_sub(record.lost);
        (record.sent, record.lost) = (sent, lost);
        record.judge(now, new_sent, new_lost)
    }

    /// Forgets ports that are gone.
    pub fn retain(&mut self, mut is_port: impl FnMut(Ifindex) -> bool) {
        self.records.retain(|port, _| is_port(*port));
    }
}

impl Record {
    fn judge(&mut self, now: Instant, sent: u64, lost: u64) -> Option<Verdict> {
        if let Some(retry_at) = self.retry_at {
            return (now >= retry_at).then(|| self.try_again());
        }
        if sent > 0 {
            (self.wait, self.strikes) = (Duration::ZERO, 0);
        } else if lost >= EVIDENCE {
            self.strikes += 1;
        }
        (self.strikes >= STRIKES).then(|| self.fail(now))
    }

    fn fail(&mut self, now: Instant) -> Verdict {
        self.wait = (self.wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
        self.retry_at = Some(now + self.wait);
        Verdict::Failing
    }

    fn try_again(&mut self) -> Verdict {
        (self.retry_at, self.strikes) = (None, 0);
        Verdict::TryAgain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: Ifindex = Ifindex(2);

    fn row(sent: u64, lost: u64) -> CounterRow {
        let mut row = CounterRow::default();
        row.reasons[Reason::TxSent as usize].packets = sent;
        row.reasons[Reason::TxError as usize].packets = lost;
        row
    }

    #[test]
    fn a_port_that_loses_some_frames_stays() {
        let mut feedback = Feedback::default();
        assert_eq!(
            feedback.sample(Instant::from_secs(1), PORT, &row(10, 90)),
            None
        );
        assert_eq!(
            feedback.sample(Instant::from_secs(2), PORT, &row(11, 900)),
            None
        );
    }

    #[test]
    fn one_period_of_losses_is_no_verdict() {
        let mut feedback = Feedback::default();
        assert_eq!(
            feedback.sample(Instant::from_secs(1), PORT, &row(0, 90)),
            None
        );
        assert_eq!(
            feedback.sample(Instant::from_secs(2), PORT, &row(70, 95)),
            None
        );
        assert_eq!(
            feedback.sample(Instant::from_secs(3), PORT, &row(70, 99)),
            None
        );
    }

    #[test]
    fn a_port_that_loses_every_frame_is_tried_again_after_growing_waits() {
        let mut feedback = Feedback::default();
        let mut lost = 0;
        let mut waits = Vec::new();
        let mut failed_at = None;
        for second in 1..200 {
            lost += 100;
            match feedback.sample(Instant::from_secs(second), PORT, &row(0, lost)) {
                Some(Verdict::Failing) => failed_at = Some(second),
                Some(Verdict::TryAgain) => waits.extend(failed_at.map(|at| second - at)),
                None => {}
            }
        }
        assert_eq!(waits[..5], [2, 4, 8, 16, 32]);
    }
}
