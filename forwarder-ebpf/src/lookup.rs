//! Lookups and nothing else, many in one run: what `forwarder bench fib` times.
//!
//! An object of its own, with the router's maps ([`maps`]) and the router's
//! lookup ([`fib`]), so that what is timed is what forwards. Loaded by
//! `forwarder::bench`; a router never loads it.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
#[expect(dead_code, reason = "the router's programs use the rest")]
mod fib;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod opaque;

#[cfg(target_arch = "bpf")]
mod runtime;

#[cfg(target_arch = "bpf")]
mod programs {
    use aya_ebpf::EbpfContext as _;
    use aya_ebpf::bindings::bpf_fib_lookup as Params;
    use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_PASS};
    use aya_ebpf::helpers::generated::bpf_fib_lookup;
    use aya_ebpf::macros::{map, xdp};
    use aya_ebpf::maps::Array;
    use aya_ebpf::programs::XdpContext;
    use forwarder_common::abi::engine;
    use forwarder_common::bench::{Key4, Key6, LOOKUPS_A_RUN, Lookups, mode};

    use crate::fib;

    const AF_INET: u8 = 2;
    const AF_INET6: u8 = 10;
    /// What the loop goes on with where there is no route.
    const NOTHING: u32 = u32::MAX;

    #[map]
    static LOOKUPS: Array<Lookups> = Array::with_max_entries(1, 0);
    /// The loader sets the size.
    #[map]
    static KEYS4: Array<Key4> = Array::with_max_entries(1, 0);
    #[map]
    static KEYS6: Array<Key6> = Array::with_max_entries(1, 0);

    #[xdp]
    fn lookups4(ctx: XdpContext) -> u32 {
        run(|state, index, carry| {
            let key = KEYS4.get(index)?;
            let address = key.address ^ carry;
            let found = match state.mode {
                mode::EMPTY => address,
                _ if fib::engine() == engine::KERNEL => kernel4(&ctx, state.ingress, address),
                _ => id(fib::lookup4(address)),
            };
            Some((found, key.answer))
        })
    }

    #[xdp]
    fn lookups6(ctx: XdpContext) -> u32 {
        run(|state, index, carry| {
            let key = KEYS6.get(index)?;
            let mut address = key.address;
            address[0] ^= carry;
            let found = match state.mode {
                mode::EMPTY => address[0] ^ address[1] ^ address[2] ^ address[3],
                _ if fib::engine() == engine::KERNEL => kernel6(&ctx, state.ingress, address),
                _ => id(fib::lookup6(&address)),
            };
            Some((found, key.answer))
        })
    }

    /// The id of no route is no route's.
    #[inline(always)]
    fn id(found: fib::Found) -> u32 {
        if found.id == 0 { NOTHING } else { found.id }
    }

    /// Each key by `find`: (answer, right answer).
    #[inline(always)]
    fn run(find: impl Fn(&Lookups, u32, u32) -> Option<(u32, u32)>) -> u32 {
        let Some(state) = LOOKUPS.get_ptr_mut(0) else {
            return XDP_ABORTED;
        };
        // SAFETY: the map's value; one thread runs this, and runs do not nest.
        let state = unsafe { &mut *state };
        let (zero, mode, mut index) = (state.zero, state.mode, state.next);
        let (mut carry, mut sum) = (0, 0);
        let mut i = 0;
        while i < LOOKUPS_A_RUN {
            let Some((found, right)) = find(state, index, carry) else {
                return XDP_ABORTED;
            };
            if mode == mode::CHECK {
                state.wrong += u64::from(found != right);
            }
            if mode == mode::DEPENDENT {
                carry = found & zero;
            }
            sum += u64::from(found);
            index = (index + 1) & state.mask;
            i += 1;
        }
        state.next = index;
        state.sum += sum;
        state.done += u64::from(LOOKUPS_A_RUN);
        XDP_PASS
    }

    #[inline(always)]
    fn kernel4(ctx: &XdpContext, ingress: u32, address: u32) -> u32 {
        // SAFETY: plain numbers, of which zero is a value.
        let mut params: Params = unsafe { core::mem::zeroed() };
        params.family = AF_INET;
        params.ifindex = ingress;
        params.__bindgen_anon_4.ipv4_dst = address;
        ask(ctx, &mut params)
    }

    #[inline(always)]
    fn kernel6(ctx: &XdpContext, ingress: u32, address: [u32; 4]) -> u32 {
        // SAFETY: plain numbers, of which zero is a value.
        let mut params: Params = unsafe { core::mem::zeroed() };
        params.family = AF_INET6;
        params.ifindex = ingress;
        params.__bindgen_anon_4.ipv6_dst = address;
        ask(ctx, &mut params)
    }

    #[inline(always)]
    fn ask(ctx: &XdpContext, params: &mut Params) -> u32 {
        // SAFETY: context and parameters are valid for the call.
        let answer = unsafe {
            bpf_fib_lookup(
                ctx.as_ptr(),
                &raw mut *params,
                size_of::<Params>() as i32,
                0,
            )
        };
        if answer == 0 {
            u32::from(params.dmac[5])
        } else {
            NOTHING
        }
    }
}
