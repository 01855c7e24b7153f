//! Whether the fast path and the kernel would do the same with a packet.

use std::net::IpAddr;

use super::model::{KernelAnswer, Lookup, Route, Way, XdpAnswer};

/// Puts the three answers side by side and names what differs.
///
/// A packet that goes up is the kernel's to route, so the two cannot differ; a
/// drop agrees with the kernel's types that drop.
pub fn compare(
    address: IpAddr,
    rib: Option<Route>,
    kernel: KernelAnswer,
    xdp: XdpAnswer,
) -> Lookup {
    let difference = difference(address, &kernel, &xdp);
    Lookup {
        address,
        rib,
        kernel,
        xdp,
        agree: difference.is_none(),
        difference,
    }
}

fn difference(address: IpAddr, kernel: &KernelAnswer, xdp: &XdpAnswer) -> Option<String> {
    let agree = match xdp.verdict.as_str() {
        "forward" => {
            // A host on the link: the fast path names it, the kernel names none.
            let router = kernel.via.or(Some(address));
            let is_kernels = |via, dev: &Option<String>| via == router && *dev == kernel.dev;
            // The kernel names one of several; which, is for its own hash to say.
            let one_of = |way: &Way| way.verdict != "forward" || is_kernels(way.via, &way.dev);
            let same = is_kernels(xdp.via, &xdp.dev) || xdp.ways.iter().any(one_of);
            kernel.kind == "unicast" && same
        }
        "drop" => matches!(
            kernel.kind.as_str(),
            "blackhole" | "unreachable" | "prohibit"
        ),
        _ => true,
    };
    (!agree).then(|| {
        format!(
            "the fast path would {}, the kernel: {}",
            xdp_words(xdp),
            kernel_words(kernel)
        )
    })
}

/// The fast path's answer for people.
pub fn xdp_words(answer: &XdpAnswer) -> String {
    match answer.verdict.as_str() {
        "forward" if answer.ways.is_empty() => {
            format!("forward{}", way(answer.via, answer.dev.as_deref()))
        }
        "forward" => {
            let ways = answer.ways.iter();
            let ways: Vec<String> = ways
                .map(|each| way(each.via, each.dev.as_deref()))
                .collect();
            format!("forward by the flow, one of:{}", ways.join(","))
        }
        "up" => format!("hand up to the kernel ({})", answer.reason),
        verdict => format!("{verdict} ({})", answer.reason),
    }
}

/// The kernel's answer for people.
pub fn kernel_words(answer: &KernelAnswer) -> String {
    let kind = if answer.kind == "none" {
        "no route"
    } else {
        &answer.kind
    };
    format!("{kind}{}", way(answer.via, answer.dev.as_deref()))
}

fn way(via: Option<IpAddr>, dev: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(via) = via {
        text.push_str(&format!(" via {via}"));
    }
    if let Some(dev) = dev {
        text.push_str(&format!(" dev {dev}"));
    }
    text
}
