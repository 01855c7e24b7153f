//! Whether the kernel forwards, and what keeps packets off the fast path.

use forwarder_core::config::Bypass;

use super::facts::{Facts, Look};
use super::finding::{Check, Finding, Group};

/// `net.ipv4.conf.*.rp_filter`: strict (RFC 3704 §2.2).
const STRICT: u32 = 1;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::from_iter(ports(facts));
    findings.extend([
        ip_forward(facts),
        ipv6_forward(facts),
        rp_filter(facts),
        send_redirects(facts),
        hash_policy(facts),
    ]);
    findings.extend(constraints(facts));
    findings
}

const fn check(name: &'static str) -> Check<'static> {
    Check::new(Group::Forwarding, name)
}

/// Nothing where the interfaces were named.
fn ports(facts: &Facts) -> Option<Finding> {
    let check = check("ports");
    if let Some(missing) = &facts.forwarding.missing {
        return Some(check.problem(missing, "The daemon refuses to start."));
    }
    let others = facts.left_out.as_ref()?.iter();
    let others: Vec<String> = others
        .map(|(name, why)| format!("{name} ({why})"))
        .collect();
    let others = match others.as_slice() {
        [] => String::new(),
        others => format!("; not {}", others.join(", ")),
    };
    let ports = facts.interfaces.iter();
    let ports: Vec<&str> = ports.map(|interface| interface.name.as_str()).collect();
    Some(match ports.as_slice() {
        [] => check.problem(
            format!("no interface would be a port{others}"),
            "Nothing is forwarded by the fast path: give the ports addresses, or name them in \
             `[dataplane] interfaces`.",
        ),
        ports => check.ok(format!("{}{others}", ports.join(", "))),
    })
}

fn ip_forward(facts: &Facts) -> Finding {
    let check = check("ip-forward");
    match &facts.forwarding.ipv4 {
        Err(why) => check.hidden(why),
        Ok(0) if facts.config.kernel.forwarding => {
            check.ok("off; the daemon switches it on (`[kernel] forwarding`)")
        }
        Ok(0) => check
            .problem(
                "net.ipv4.ip_forward is 0",
                "This machine is no router: every port hands IPv4 up (`forwarding-off`), and the \
                 kernel drops it.",
            )
            .mend("sysctl -w net.ipv4.ip_forward=1"),
        Ok(_) => check.ok("on"),
    }
}

/// Off is wrong only where some port has an IPv6 network.
fn ipv6_forward(facts: &Facts) -> Finding {
    let check = check("ipv6-forward");
    let used = facts.interfaces.iter().any(|interface| interface.ipv6);
    match &facts.forwarding.ipv6 {
        Err(why) => check.ok(format!("no IPv6 here: {why}")),
        Ok(0) if !used => check.ok("off, and no port has an IPv6 network"),
        Ok(0) => check
            .warning(
                "net.ipv6.conf.all.forwarding is 0, and ports have IPv6 networks",
                "IPv6 is not forwarded. Switched on, the kernel no longer listens to router \
                 advertisements, except where accept_ra is 2.",
            )
            .mend("sysctl -w net.ipv6.conf.all.forwarding=1"),
        Ok(_) => check.ok("on"),
    }
}

/// One finding for all interfaces, since one command mends them all.
fn rp_filter(facts: &Facts) -> Finding {
    let check = check("rp-filter");
    let mut strict = Vec::new();
    for interface in &facts.interfaces {
        match &interface.rp_filter {
            Err(why) => return check.hidden(why),
            Ok(value) if *value == STRICT => strict.push(interface.name.as_str()),
            Ok(_) => {}
        }
    }
    if strict.is_empty() {
        return check.ok("nowhere strict");
    }
    let settings: Vec<String> = strict
        .iter()
        .map(|name| format!("{}=2", conf(name, "rp_filter")))
        .collect();
    check
        .note(
            format!("strict on {}", strict.join(", ")),
            "A packet is dropped unless the way back to its source leaves by the port it came in \
             on. With asymmetric routing that loses good packets; loose (2) does not.",
        )
        .mend(format!("sysctl -w {}", settings.join(" ")))
}

/// No fault, but the reason why some packets go up.
fn send_redirects(facts: &Facts) -> Finding {
    let on = facts.interfaces.iter().filter(|one| one.send_redirects);
    let on: Vec<&str> = on.map(|interface| interface.name.as_str()).collect();
    check("send-redirects").ok(match on.as_slice() {
        [] => "off".to_owned(),
        on => format!(
            "on at {}: what leaves by the port it came in on goes up once a second and flow",
            on.join(", ")
        ),
    })
}

/// A family that no port has, or that has no multipath routes in this kernel,
/// chooses nothing.
fn hash_policy(facts: &Facts) -> Finding {
    let forwarding = &facts.forwarding;
    let ipv6 = facts.interfaces.iter().any(|interface| interface.ipv6);
    let by_addresses = |used: bool, policy: &Look<u32>| used && *policy == Ok(0);
    let mut settings = Vec::new();
    if by_addresses(true, &forwarding.hash_policy) {
        settings.push("net.ipv4.fib_multipath_hash_policy");
    }
    if by_addresses(ipv6, &forwarding.hash_policy6) {
        settings.push("net.ipv6.fib_multipath_hash_policy");
    }
    let check = check("multipath-hash");
    if settings.is_empty() {
        return check.ok("not by addresses alone");
    }
    check
        .note(
            match settings.as_slice() {
                [one] => format!("{one} is 0"),
                both => format!("{} are 0", both.join(" and ")),
            },
            "The kernel chooses among equal paths by addresses alone, the fast path by ports too: \
             flows between two hosts that take the slow path share one link.",
        )
        .mend(format!("sysctl -w {}=1", settings.join("=1 ")))
}

fn constraints(facts: &Facts) -> Vec<Finding> {
    let constraints = match &facts.forwarding.constraints {
        Err(why) => return vec![check("netfilter").hidden(why)],
        Ok(constraints) => constraints,
    };
    vec![
        constraint(
            facts,
            "netfilter",
            Bypass::Netfilter,
            &constraints.netfilter,
        ),
        constraint(facts, "rules", Bypass::Rules, &constraints.rules),
        constraint(facts, "xfrm", Bypass::Xfrm, &constraints.xfrm),
    ]
}

fn constraint(facts: &Facts, name: &'static str, bypass: Bypass, text: &Option<String>) -> Finding {
    let Some(text) = text else {
        return check(name).ok("none");
    };
    if facts.config.dataplane.bypass.contains(&bypass) {
        return check(name).ok(format!("{text}; bypassed by the configuration"));
    }
    check(name).warning(text, bypass_meaning(bypass))
}

/// Shared with traffic control, which concerns an interface.
pub(super) fn bypass_meaning(bypass: Bypass) -> String {
    let name = bypass.name();
    format!(
        "The packets concerned take the slow path (`{name}`). Where forwarded packets need not \
         meet it, say `bypass = [\"{name}\"]` under `[dataplane]`."
    )
}

/// A sysctl of an interface. A dot in a name would end the component, so
/// `sysctl` takes a slash for it.
pub(super) fn conf(interface: &str, key: &str) -> String {
    format!("net.ipv4.conf.{}.{key}", interface.replace('.', "/"))
}

impl Facts {
    /// The command that sets sysctls which only the initial namespace has.
    pub(super) fn initial(&self, settings: &str) -> String {
        match self.initial_namespace {
            None => format!("sysctl -w {settings}"),
            Some(path) => format!("nsenter --net={path} sysctl -w {settings}"),
        }
    }

    /// Whether frames will arrive by native XDP anywhere, so that the ways out
    /// need `ndo_xdp_xmit`.
    pub(super) fn any_native(&self) -> bool {
        let ports = self.interfaces.iter().filter(|one| one.port.is_ok());
        ports.into_iter().any(|one| one.wants_native(self))
    }
}

/// A look at a number in /proc/sys.
pub(super) fn number(text: Look<String>) -> Look<u32> {
    let text = text?;
    let word = text.trim();
    word.parse().map_err(|_| format!("{word:?} is no number"))
}
