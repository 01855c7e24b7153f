//! The kernel's lookups that found no route, while a listener wants to hear of
//! them: those of received packets where these end, those of this machine's at the
//! lookup. Why there is in `docs/adr/0025-misses-at-tracepoints.md`.
//!
//! An object of its own, which `forwarder::dataplane::miss_hook` loads when the
//! first listener comes. The programs run for every network namespace of the
//! machine; which is ours, and where fields lie, the map `MISS_FILTER` says.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
mod credit;

#[cfg(target_arch = "bpf")]
mod runtime;

#[cfg(target_arch = "bpf")]
mod programs {
    use aya_ebpf::helpers::bpf_probe_read_kernel;
    use aya_ebpf::helpers::generated::bpf_get_current_task;
    use aya_ebpf::macros::{btf_tracepoint, map};
    use aya_ebpf::maps::{Array, LruHashMap, PerCpuArray, RingBuf};
    use aya_ebpf::programs::BtfTracePointContext;
    use forwarder_common::abi::{Miss, MissFilter, PuntLimit, PuntState};

    use crate::credit;

    /// The error of the route that stands for none. Those of routes that refuse are
    /// `EINVAL` (blackhole), `EHOSTUNREACH` and `EACCES` (prohibit).
    const ENETUNREACH: i16 = 101;
    /// `-EAGAIN`: another table may know.
    const NOT_FOUND: i32 = -11;
    /// The table of the routes that the daemon knows.
    const TABLE_MAIN: u32 = 254;
    /// Where a packet of this machine comes from.
    const LOOPBACK: u32 = 1;
    const PF_KTHREAD: u32 = 0x0020_0000;

    const ETH_P_IP: u16 = 0x0800;
    const ETH_P_IPV6: u16 = 0x86dd;
    /// Offsets of the destination in the IP headers.
    const DESTINATION4: u32 = 16;
    const DESTINATION6: u32 = 24;

    #[map]
    static MISSES: RingBuf = RingBuf::with_byte_size(64 * 1024, 0);
    #[map]
    static MISS_FILTER: Array<MissFilter> = Array::with_max_entries(1, 0);
    #[map]
    static MISS_LIMIT: Array<PuntLimit> = Array::with_max_entries(1, 0);
    #[map]
    static MISS_STATE: PerCpuArray<PuntState> = PerCpuArray::with_max_entries(1, 0);
    /// Whether the CPU is in a softirq.
    #[map]
    static SOFTIRQ: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);
    /// Flows that were looked up without a source, with their destinations.
    #[map]
    static SOURCELESS: LruHashMap<u64, [u32; 4]> = LruHashMap::with_max_entries(256, 0);

    /// `kfree_skb(skb, location, ...)`: a packet ends here that nobody took. If no
    /// route led it anywhere, the one that it was given says so.
    #[btf_tracepoint(function = "kfree_skb")]
    fn kfree_skb(ctx: BtfTracePointContext) -> i32 {
        let _ = MISS_FILTER.get(0).and_then(|filter| {
            let packet: *const u8 = ctx.arg(0);
            is_lost(filter, packet)?;
            let head: *const u8 = read(packet, filter.skb_head)?;
            let header: u16 = read(packet, filter.skb_network_header)?;
            let protocol: u16 = read(packet, filter.skb_protocol)?;
            match u16::from_be(protocol) {
                ETH_P_IP => tell4(read(head, u32::from(header) + DESTINATION4)?),
                ETH_P_IPV6 => tell(6, read(head, u32::from(header) + DESTINATION6)?),
                _ => None,
            }
        });
        0
    }

    /// `fib_table_lookup(tb_id, flp, nhc, err)`. It does not say whose table: a
    /// process looks up in its own namespace, and whatever else does is passed over.
    #[btf_tracepoint(function = "fib_table_lookup")]
    fn fib_table_lookup(ctx: BtfTracePointContext) -> i32 {
        let (table, error): (u32, i32) = (ctx.arg(0), ctx.arg(3));
        if table == TABLE_MAIN && error == NOT_FOUND {
            let _ = MISS_FILTER.get(0).and_then(|filter| {
                let flow: *const u8 = ctx.arg(1);
                is_sent(filter, flow)?;
                is_our_process(filter)?;
                tell4(read(flow, filter.flow4_destination)?)
            });
        }
        0
    }

    /// `fib6_table_lookup(net, res, table, flp)`.
    #[btf_tracepoint(function = "fib6_table_lookup")]
    fn fib6_table_lookup(ctx: BtfTracePointContext) -> i32 {
        let _ = MISS_FILTER.get(0).and_then(|filter| {
            let (net, flow): (*const u8, *const u8) = (ctx.arg(0), ctx.arg(3));
            is_sent(filter, flow)?;
            let table: u32 = read(ctx.arg(2), filter.table6_id)?;
            let route: *const u8 = read(ctx.arg(1), filter.result6_route)?;
            let none: *const u8 = read(net, filter.net_null6)?;
            if table != TABLE_MAIN || route != none {
                return None;
            }
            is_ours(filter, net)?;
            let address: [u32; 4] = read(flow, filter.flow6_destination)?;
            let source: [u32; 4] = read(flow, filter.flow6_source)?;
            is_first(flow, source == [0; 4], &address)?;
            tell(6, address)
        });
        0
    }

    #[btf_tracepoint(function = "softirq_entry")]
    fn softirq_entry(_ctx: BtfTracePointContext) -> i32 {
        interrupted(1);
        0
    }

    #[btf_tracepoint(function = "softirq_exit")]
    fn softirq_exit(_ctx: BtfTracePointContext) -> i32 {
        interrupted(0);
        0
    }

    #[inline(always)]
    fn interrupted(now: u32) {
        if let Some(state) = SOFTIRQ.get_ptr_mut(0) {
            // SAFETY: a per-CPU value; softirqs do not nest.
            unsafe { *state = now };
        }
    }

    /// Whether a packet that was received in our namespace found no route. IPv4 keeps
    /// a route's error positive, IPv6 negative.
    #[inline(always)]
    fn is_lost(filter: &MissFilter, packet: *const u8) -> Option<()> {
        // The lowest bit says whether the reference is counted.
        let route: u64 = read(packet, filter.skb_dst)?;
        let error: i16 = read((route & !1) as *const u8, filter.dst_error)?;
        if error != ENETUNREACH && error != -ENETUNREACH {
            return None;
        }
        let device: *const u8 = read(packet, filter.skb_dev)?;
        is_ours(filter, read(device, filter.dev_net)?)
    }

    /// Whether it is a packet of this machine that asks for a way. Whoever names the
    /// interface does not, and received packets are told of where they end.
    #[inline(always)]
    fn is_sent(filter: &MissFilter, flow: *const u8) -> Option<()> {
        let received: u32 = read(flow, filter.flow_iif)?;
        let interface: u32 = read(flow, filter.flow_oif)?;
        (received == LOOPBACK && interface == 0).then_some(())
    }

    /// Whether a process of our namespace runs, and neither an interrupt on top of
    /// it, whose packets are anybody's, nor a thread of the kernel.
    #[inline(always)]
    fn is_our_process(filter: &MissFilter) -> Option<()> {
        if *SOFTIRQ.get(0)? != 0 {
            return None;
        }
        // SAFETY: no preconditions.
        let task = unsafe { bpf_get_current_task() } as *const u8;
        let flags: u32 = read(task, filter.task_flags)?;
        if flags & PF_KTHREAD != 0 {
            return None;
        }
        let namespaces: *const u8 = read(task, filter.task_nsproxy)?;
        is_ours(filter, read(namespaces, filter.nsproxy_net)?)
    }

    #[inline(always)]
    fn is_ours(filter: &MissFilter, net: *const u8) -> Option<()> {
        let inum: u32 = read(net, filter.net_inum)?;
        (inum == filter.netns_inum).then_some(())
    }

    /// IPv6 asks without a source, chooses one, and asks again with it, about the
    /// same flow in the same place (`ip6_dst_lookup_tail`): one miss, not two.
    #[inline(always)]
    fn is_first(flow: *const u8, sourceless: bool, destination: &[u32; 4]) -> Option<()> {
        let key = flow as u64;
        if sourceless {
            // Without room for it the miss is told twice.
            let _ = SOURCELESS.insert(key, destination, 0);
            return Some(());
        }
        // SAFETY: copied at once; a place is used by one lookup at a time.
        let before = unsafe { SOURCELESS.get(key) }.copied();
        if before != Some(*destination) {
            return Some(());
        }
        let _ = SOURCELESS.remove(key);
        None
    }

    #[inline(always)]
    fn tell4(address: u32) -> Option<()> {
        tell(4, [address, 0, 0, 0])
    }

    /// Tells the daemon, if the limit allows it and it is not behind.
    #[inline(always)]
    fn tell(family: u32, destination_be: [u32; 4]) -> Option<()> {
        let limit = MISS_LIMIT.get(0)?;
        // SAFETY: a per-CPU value.
        let state = unsafe { &mut *MISS_STATE.get_ptr_mut(0)? };
        if limit.cost_ns != 0 && !credit::take(limit, state) {
            return None;
        }
        let miss = Miss {
            family,
            destination_be,
        };
        if MISSES.output::<Miss>(&miss, 0).is_err() {
            state.refused += 1;
        }
        Some(())
    }

    /// A field of a kernel structure; of one that is not there, none.
    #[inline(always)]
    fn read<T>(structure: *const u8, offset: u32) -> Option<T> {
        let field = structure.wrapping_add(offset as usize).cast::<T>();
        // SAFETY: probe reads of kernel memory fail rather than fault.
        unsafe { bpf_probe_read_kernel(field) }.ok()
    }
}
