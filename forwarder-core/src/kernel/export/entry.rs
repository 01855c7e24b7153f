//! One prefix of the exporter: desired, actual, and what is on its way.
//!
//! A change of ours is heard of twice: as the result of the request, and as a
//! notification (an *echo*), later and through another channel. With two
//! changes in a row the first one's echo comes when the second has been made
//! already. So each change leaves the echo it will cause in a queue; a
//! notification that is found in the queue is old news unless it is the last.
//! One that is not found there while echoes are still to come was made by
//! others at some time between, and is overwritten by what follows; it is kept
//! only in case that the echoes never come (an overrun).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{ExportOp, ExportRoute, Installed, Refusal};
use crate::net::Family;
use crate::time::Instant;

/// An echo that hasn't come after this has been lost.
const ECHO: Duration = Duration::from_secs(5);

type Content<F> = Option<Arc<ExportRoute<F>>>;

/// What a prefix waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Work {
    Nothing,
    Addition,
    Removal,
}

#[derive(Debug)]
struct Echo<F: Family> {
    content: Content<F>,
    since: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Entry<F: Family> {
    desired: Content<F>,
    actual: Content<F>,
    /// Desired at some time of this life: what is in the kernel is then no
    /// leftover of an earlier one, and goes as soon as nobody wants it.
    was_desired: bool,
    in_flight: bool,
    refusal: Option<Refusal>,
    /// That what is desired was refused is known; it is tried again all the same.
    refused_before: bool,
    echoes: VecDeque<Echo<F>>,
    /// Heard while echoes were still to come, and contradicting them.
    unexplained: Option<Content<F>>,
}

impl<F: Family> Entry<F> {
    pub(super) fn set_desired(&mut self, desired: Content<F>) {
        if self.desired != desired {
            self.was_desired |= desired.is_some();
            self.desired = desired;
            self.refusal = None;
            self.refused_before = false;
        }
    }

    /// A notification says what is in the kernel.
    pub(super) fn observed(&mut self, now: Instant, found: Content<F>) {
        self.expire(now);
        self.unexplained = None;
        match self.echoes.iter().position(|echo| echo.content == found) {
            Some(position) => drop(self.echoes.drain(..=position)),
            None if self.in_flight || self.is_echoing() => {
                self.unexplained = Some(found);
                return;
            }
            None => {}
        }
        if !self.in_flight && !self.is_echoing() {
            self.refusal = None;
            self.actual = found;
        }
    }

    /// Gives up waiting for echoes that are overdue.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.echoes.is_empty() || self.echoes.iter().any(|echo| now.since(echo.since) < ECHO) {
            return;
        }
        self.echoes.clear();
        self.believe_unexplained();
    }

    fn believe_unexplained(&mut self) {
        if self.in_flight || self.is_echoing() {
            return;
        }
        if let Some(found) = self.unexplained.take() {
            self.actual = found;
        }
    }

    pub(super) fn work(&self, remove_leftovers: bool) -> Work {
        let removable = remove_leftovers || self.was_desired;
        match (&self.desired, &self.actual) {
            _ if self.in_flight => Work::Nothing,
            (None, Some(_)) if removable && self.refusal.is_none() => Work::Removal,
            (Some(desired), Some(actual)) if desired == actual => Work::Nothing,
            (Some(_), _) if self.refusal.is_none() => Work::Addition,
            // A route that is wrong by now is worse than none.
            (Some(_), Some(_)) if matches!(self.refusal, Some(Refusal::Invalid(..))) => {
                Work::Removal
            }
            _ => Work::Nothing,
        }
    }

    /// Hands out the operation that [`Entry::work`] promised.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        prefix: F::Prefix,
        remove_leftovers: bool,
    ) -> Option<ExportOp<F>> {
        let op = match (self.work(remove_leftovers), &self.desired, &self.actual) {
            (Work::Addition, Some(desired), None) => ExportOp::Add(Arc::clone(desired)),
            (Work::Addition, Some(desired), Some(_)) => ExportOp::Replace(Arc::clone(desired)),
            (Work::Removal, ..) => ExportOp::Delete(prefix),
            _ => return None,
        };
        self.in_flight = true;
        self.echoes.push_back(Echo {
            content: op.outcome(),
            since: now,
        });
        Some(op)
    }

    /// The result of an operation; a refusal of what is desired that is the first.
    pub(super) fn complete(
        &mut self,
        op: &ExportOp<F>,
        result: Result<(), Refusal>,
    ) -> Option<Refusal> {
        self.in_flight = false;
        let news = match result {
            Ok(()) => {
                self.actual = op.outcome();
                self.refused_before &= self.actual.is_none();
                None
            }
            Err(refusal) => {
                self.forget_echo(op);
                self.refused(op, refusal)
            }
        };
        // Its echo has come already, and something else behind it.
        self.believe_unexplained();
        news
    }

    fn refused(&mut self, op: &ExportOp<F>, refusal: Refusal) -> Option<Refusal> {
        match (op, refusal) {
            (ExportOp::Delete(_), Refusal::Absent) => self.actual = None,
            (ExportOp::Delete(_), refusal) => self.refusal = Some(refusal),
            (_, refusal) => {
                let news = !std::mem::replace(&mut self.refused_before, true);
                self.refusal = Some(refusal.clone());
                return news.then_some(refusal);
            }
        }
        None
    }

    /// What was not done causes no notification.
    fn forget_echo(&mut self, op: &ExportOp<F>) {
        let content = op.outcome();
        if let Some(position) = self.echoes.iter().rposition(|echo| echo.content == content) {
            self.echoes.remove(position);
        }
    }

    /// What was refused may be tried again.
    pub(super) fn retry(&mut self) {
        self.refusal = None;
    }

    pub(super) fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    pub(super) fn is_echoing(&self) -> bool {
        !self.echoes.is_empty()
    }

    /// There is nothing to remember.
    pub(super) fn is_idle(&self) -> bool {
        let empty = self.desired.is_none() && self.actual.is_none();
        empty && !self.in_flight && !self.is_echoing()
    }

    pub(super) fn installed(&self) -> Installed {
        match (&self.desired, &self.refusal) {
            (None, _) => Installed::NotWanted,
            (Some(_), _) if self.desired == self.actual && !self.in_flight => Installed::Yes,
            (Some(_), Some(refusal)) => Installed::No(refusal.clone()),
            (Some(_), None) => Installed::Pending,
        }
    }
}
