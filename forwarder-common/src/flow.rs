//! The hash by which a flow picks one of several next hops.
//!
//! Packets of a flow must not overtake one another, so they take one path:
//! addresses, protocol and ports decide (RFC 2992 §2), or the addresses alone
//! where there are no ports to read in every packet of the flow (fragments).
//! The seed is this router's own: routers in a row that hashed alike would
//! leave some paths of the later ones unused (polarisation).
//!
//! Multiplication and rotation after the mixers of MurmurHash3 (public domain);
//! cheap on BPF, whose instructions are 64 bits wide.

/// Hashes the words of a flow, one after the other.
#[derive(Clone, Copy)]
pub struct FlowHash(u64);

impl FlowHash {
    /// Of nothing yet.
    #[inline(always)]
    pub const fn new(seed: u32) -> Self {
        FlowHash(seed as u64 ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// Two more words.
    #[inline(always)]
    #[must_use]
    pub const fn add(self, high: u32, low: u32) -> Self {
        let word = ((high as u64) << 32) | low as u64;
        let mixed = word.wrapping_mul(0x87c3_7b91_1142_53d5);
        let mixed = mixed.rotate_left(31).wrapping_mul(0x4cf5_ad43_2745_937f);
        let state = (self.0 ^ mixed).rotate_left(27);
        FlowHash(state.wrapping_mul(5).wrapping_add(0x52dc_e729))
    }

    /// The bucket of the flow, of a power of two.
    #[inline(always)]
    pub const fn bucket(self, buckets: usize) -> usize {
        let mut state = self.0;
        state ^= state >> 33;
        state = state.wrapping_mul(0xff51_afd7_ed55_8ccd);
        state ^= state >> 33;
        state = state.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        state ^= state >> 33;
        state as usize & (buckets - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::FlowHash;
    use crate::abi::GROUP_BUCKETS;

    fn buckets(flows: impl Iterator<Item = (u32, u32)>, seed: u32) -> [u32; GROUP_BUCKETS] {
        let mut counts = [0; GROUP_BUCKETS];
        for (a, b) in flows {
            counts[FlowHash::new(seed).add(a, b).bucket(GROUP_BUCKETS)] += 1;
        }
        counts
    }

    /// Chi squared of 255 degrees of freedom: above 350 once in 20,000 tries.
    fn assert_even(counts: &[u32; GROUP_BUCKETS]) {
        let expected = f64::from(counts.iter().sum::<u32>()) / GROUP_BUCKETS as f64;
        let deviation = |count: &u32| (f64::from(*count) - expected).powi(2) / expected;
        let chi: f64 = counts.iter().map(deviation).sum();
        assert!(chi < 350.0, "{chi}: {counts:?}");
    }

    #[test]
    fn neighbouring_addresses_and_ports_spread_evenly() {
        assert_even(&buckets((0..65_536).map(|n| (0x0a00_0000 + n, 7)), 1));
        assert_even(&buckets((0..65_536).map(|n| (0x0a00_0001, n << 16)), 1));
        assert_even(&buckets((0..65_536u32).map(|n| (n.swap_bytes(), n)), 99));
    }

    #[test]
    fn another_seed_is_another_choice() {
        let same = (0..65_536u32).filter(|&flow| {
            let bucket = |seed| FlowHash::new(seed).add(flow, 5).bucket(GROUP_BUCKETS);
            bucket(1) == bucket(2)
        });
        let same = same.count();
        assert!((160..360).contains(&same), "{same} of 256 expected");
    }
}
