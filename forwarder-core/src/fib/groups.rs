//! Several ways out of one route: which flow takes which.
//!
//! A group is a row of buckets; the hash of a flow picks one, which holds a
//! member's next-hop id. Each member has as many buckets as its weight says,
//! exactly but for rounding. A group that follows from another (a router was
//! lost, or came) leaves every bucket where it is that it can, so that only the
//! flows of the lost member move, and a new one takes no more than its share.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

use forwarder_common::abi::GROUP_BUCKETS;

use super::{FibFamily, Target};

/// One way out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Member<F: FibFamily> {
    /// Where it leads: always [`Target::Via`].
    pub target: Target<F>,
    /// Its share, 1..=256 (more where a route names it twice).
    pub weight: u32,
}

/// Members in order, each once.
pub type Members<F> = Arc<[Member<F>]>;

/// A member's number for each bucket.
pub(super) type Buckets = [u8; GROUP_BUCKETS];

/// Buckets for members of these weights; `kept` says whose a bucket was.
pub(super) fn assign(weights: &[u32], kept: impl Fn(usize) -> Option<usize>) -> Buckets {
    let mut left = quotas(weights);
    let mut owners = [None; GROUP_BUCKETS];
    for (bucket, owner) in owners.iter_mut().enumerate() {
        *owner = kept(bucket).filter(|&member| left[member] > 0);
        if let Some(member) = *owner {
            left[member] -= 1;
        }
    }
    owners.map(|owner| {
        let member = owner.unwrap_or_else(|| {
            let most = furthest_behind(&left);
            left[most] -= 1;
            most
        });
        // At most as many members as buckets, see `Target::multipath`.
        member as u8
    })
}

/// The first of those with the most buckets to come.
fn furthest_behind(left: &[u32]) -> usize {
    let behind = |a: &(usize, &u32), b: &(usize, &u32)| a.1.cmp(b.1).then(b.0.cmp(&a.0));
    left.iter()
        .enumerate()
        .max_by(behind)
        .map_or(0, |(member, _)| member)
}

/// Buckets for each; the sum is all of them. By the highest averages with odd
/// divisors (Webster): the nearest to the weights of those ways of rounding in
/// which nobody's share shrinks when another member goes.
fn quotas(weights: &[u32]) -> Vec<u32> {
    let mut quotas = vec![0; weights.len()];
    // Heaped by weight / (2 × quota + 1), compared without the division.
    let average = |member: usize, quota: u32| Average {
        weight: u64::from(weights[member]),
        divisor: u64::from(2 * quota + 1),
        member: Reverse(member),
    };
    let mut heap: BinaryHeap<Average> = (0..weights.len())
        .map(|member| average(member, 0))
        .collect();
    for _ in 0..GROUP_BUCKETS {
        let Some(Average {
            member: Reverse(member),
            ..
        }) = heap.pop()
        else {
            break;
        };
        quotas[member] += 1;
        heap.push(average(member, quotas[member]));
    }
    quotas
}

/// A member's claim to the next bucket.
#[derive(PartialEq, Eq)]
struct Average {
    weight: u64,
    divisor: u64,
    /// The first of equals.
    member: Reverse<usize>,
}

impl Ord for Average {
    fn cmp(&self, other: &Self) -> Ordering {
        let (ours, theirs) = (self.weight * other.divisor, other.weight * self.divisor);
        ours.cmp(&theirs).then(self.member.cmp(&other.member))
    }
}

impl PartialOrd for Average {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(buckets: &Buckets, members: usize) -> Vec<usize> {
        let count = |member| {
            buckets
                .iter()
                .filter(|&&owner| usize::from(owner) == member)
                .count()
        };
        (0..members).map(count).collect()
    }

    #[test]
    fn equal_weights_share_equally_and_others_by_weight() {
        let shares = |weights: &[u32]| counts(&assign(weights, |_| None), weights.len());
        assert_eq!(shares(&[1, 1]), [128, 128]);
        assert_eq!(shares(&[1, 1, 1]), [86, 85, 85]);
        assert_eq!(shares(&[3, 1]), [192, 64]);
        assert_eq!(shares(&[255, 1]), [255, 1]);
        assert_eq!(shares(&[1; 256]), [1; 256]);
    }

    proptest! {
        #[test]
        fn only_the_flows_of_a_lost_member_move(
            weights in prop::collection::vec(1u32..=256, 2..12),
            lost in any::<prop::sample::Index>(),
        ) {
            let lost = lost.index(weights.len());
            let before = assign(&weights, |_| None);
            let mut fewer = weights.clone();
            fewer.remove(lost);
            let number = |old: usize| (old != lost).then_some(old - usize::from(old > lost));
            let after = assign(&fewer, |bucket| number(usize::from(before[bucket])));
            for bucket in 0..GROUP_BUCKETS {
                if let Some(same) = number(usize::from(before[bucket])) {
                    // A share only grows: nobody has to give a bucket up.
                    prop_assert_eq!(usize::from(after[bucket]), same);
                }
            }
            prop_assert_eq!(counts(&after, fewer.len()), {
                quotas(&fewer).into_iter().map(|quota| quota as usize).collect::<Vec<_>>()
            });
        }

        #[test]
        fn a_new_member_takes_its_share_and_no_more(
            weights in prop::collection::vec(1u32..=256, 1..12),
            new in 1u32..=256,
        ) {
            let before = assign(&weights, |_| None);
            let mut more = weights.clone();
            more.push(new);
            let after = assign(&more, |bucket| Some(usize::from(before[bucket])));
            let moved = (0..GROUP_BUCKETS).filter(|&bucket| before[bucket] != after[bucket]);
            let share = quotas(&more)[weights.len()] as usize;
            // Rounding may take a bucket more from one of the others.
            prop_assert!(moved.count() <= share + weights.len());
        }
    }
}
