//! `route`: route(8) over the routing socket, and net-tools' listing of the fast
//! path's own table.
//!
//! Both programs are called route, and take the same words for the same things;
//! what tells them apart are net-tools' words without a dash (`gw`, `netmask`,
//! `dev`), and that it lists where no command is given.

mod address;
mod list;
mod names;
mod parse;
mod print;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use forwarder_core::route_msg::number::*;
use forwarder_core::route_msg::{DumpKind, Errno, Gateway, Message, RequestKind, RouteRequest};

use super::output;
use crate::api::client::Client as Api;
use crate::api::model::FibRoute;
use crate::paths::Paths;
use crate::route_client::{Client, Error, Options as Connect, RouteMessage};
use list::{Format, Listing};
use names::Names;
use parse::{Invocation, Options, Request, Verb};
use print::Namer;

/// `EX_NOPERM`, which BSD's route ends with.
const NO_PERMISSION: u8 = 77;
/// net-tools' `E_OPTERR`, and what its ioctl(2) failures end with.
const NET_TOOLS_FAILED: u8 = 7;
/// As many routes of a prefix there can be.
const PRIORITIES: usize = 255;
/// Not understood.
const USAGE: u8 = 2;

/// Runs it.
///
/// # Errors
/// The daemon does not answer.
pub(super) async fn run(
    words: &[String],
    api: &Api,
    paths: &Paths,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let names = Names::read();
    let invocation = match parse::parse(words, &names) {
        Ok(invocation) => invocation,
        Err(error) => {
            output::complain(&format!("route: {error}"));
            return Ok(ExitCode::from(USAGE));
        }
    };
    let Invocation { options, verb } = invocation;
    let namer = Namer {
        names: (!options.numeric).then_some(&names),
    };
    match verb {
        Verb::List => list(options, api, &names, json).await,
        Verb::Request(request) if request.message.kind == RequestKind::Get => {
            get(*request, options, paths, &namer).await
        }
        Verb::Request(request) => change(*request, options, paths, &namer).await,
        Verb::Flush => flush(options, paths, &namer).await,
        Verb::Monitor => monitor(options, paths, &namer).await,
        Verb::Show => show(options, paths, &namer).await,
    }
}

async fn list(options: Options, api: &Api, names: &Names, json: bool) -> anyhow::Result<ExitCode> {
    let ipv6 = options.family == Some(AF_INET6);
    let family = if ipv6 { "ipv6" } else { "ipv4" };
    let path = format!("/v1/fib/routes?family={family}");
    if json {
        output::print(api.get_text(&path).await?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let routes: Vec<FibRoute> = api.get(&path).await?;
    let listing = Listing {
        format: match options.extended {
            0 => Format::Plain,
            1 => Format::Extended,
            _ => Format::Both,
        },
        names: (!options.numeric).then_some(names),
    };
    let text = if ipv6 {
        listing.ipv6(&routes)
    } else {
        listing.ipv4(&routes)
    };
    output::print(text)?;
    Ok(ExitCode::SUCCESS)
}

async fn change(
    request: Request,
    options: Options,
    paths: &Paths,
    namer: &Namer<'_>,
) -> anyhow::Result<ExitCode> {
    let verb = match request.message.kind {
        RequestKind::Add => "add",
        RequestKind::Change => "change",
        _ => "delete",
    };
    let destination = namer.destination(request.message.destination, request.is_net);
    let gateway = request.gateway.as_deref().map(|text| {
        let address = text.parse().ok();
        address.map_or_else(|| text.to_owned(), |address| namer.host(address))
    });
    let line = |errno| {
        print::result(
            verb,
            &destination,
            request.is_net,
            gateway.as_deref(),
            errno,
        )
    };
    let errno = if options.dry {
        None
    } else {
        let mut client = connect(paths).await?;
        // As route(8): the acknowledgement is all it wants to hear.
        client.shutdown_read()?;
        match client.change_by(request.message.clone()).await {
            Ok(_) => None,
            Err(error) => Some(error.errno().ok_or(error)?),
        }
    };
    match errno {
        None if request.net_tools || options.quiet => Ok(ExitCode::SUCCESS),
        None => {
            output::print(line(None))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Errno::Eperm) => {
            output::complain("route: must be root to alter routing table");
            Ok(ExitCode::from(NO_PERMISSION))
        }
        Some(errno) if request.net_tools => {
            let call = match request.message.kind {
                RequestKind::Add => "SIOCADDRT",
                _ => "SIOCDELRT",
            };
            output::complain(&format!("{call}: {}", strerror(errno)));
            Ok(ExitCode::from(NET_TOOLS_FAILED))
        }
        Some(errno) => {
            // On stdout, as BSD's.
            output::print(line(Some(errno)))?;
            if errno == Errno::Ebusy {
                output::note(crate::route_client::hint(errno));
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

fn strerror(errno: Errno) -> String {
    let text = std::io::Error::from_raw_os_error(errno.number()).to_string();
    text.split(" (os error").next().unwrap_or_default().into()
}

async fn get(
    request: Request,
    options: Options,
    paths: &Paths,
    namer: &Namer<'_>,
) -> anyhow::Result<ExitCode> {
    let asked = namer.destination(request.message.destination, request.is_net);
    if options.dry {
        return Ok(ExitCode::SUCCESS);
    }
    let mut client = connect(paths).await?;
    match client.question(request.message).await {
        Ok(route) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
            output::print(print::answer(&asked, &route, namer, now))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(Error::Refused {
            errno: Errno::Esrch,
            ..
        }) => {
            output::complain("route: route has not been found");
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error.into()),
    }
}

/// The routes of a dump.
async fn table(client: &mut Client, options: Options) -> anyhow::Result<Vec<RouteMessage>> {
    let family = options.family.unwrap_or(AF_UNSPEC);
    let messages = client.dump(DumpKind::Table, family).await?;
    let routes = messages.into_iter().filter_map(|message| match message {
        Message::Route(route) => Some(route),
        _ => None,
    });
    Ok(routes.collect())
}

/// Deletes what clients have added: what other sources have put there is theirs
/// to take back. Of several routes of a prefix only the best is in the table, so
/// that it is looked at again until nothing goes any more.
async fn flush(options: Options, paths: &Paths, namer: &Namer<'_>) -> anyhow::Result<ExitCode> {
    let mut client = connect(paths).await?;
    let mut status = ExitCode::SUCCESS;
    for _ in 0..=PRIORITIES {
        let mut deleted = false;
        for route in table(&mut client, options).await? {
            let Some(request) = deletion(&route) else {
                continue;
            };
            let line = flushed(&request, &route, namer);
            if options.dry {
                output::print(&line)?;
                continue;
            }
            match client.change_by(request).await {
                Ok(_) => {
                    deleted = true;
                    if !options.quiet {
                        output::print(&line)?;
                    }
                }
                Err(Error::Refused {
                    // Of RIP, the kernel, the configuration; or gone meanwhile, as
                    // the second way of a route is with the first.
                    errno: Errno::Ebusy | Errno::Esrch,
                    ..
                }) => {}
                Err(Error::Refused {
                    errno: Errno::Eperm,
                    ..
                }) => {
                    output::complain("route: must be root to alter routing table");
                    return Ok(ExitCode::from(NO_PERMISSION));
                }
                Err(error @ Error::Refused { .. }) => {
                    output::complain(&format!("route: {line}: {error}"));
                    status = ExitCode::FAILURE;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if !deleted {
            break;
        }
    }
    Ok(status)
}

/// What deletes a row of the table; a connected network is nobody's to delete.
fn deletion(route: &RouteMessage) -> Option<RouteRequest> {
    if route.flags & RTF_PINNED != 0 {
        return None;
    }
    let mut request = RouteRequest::new(RequestKind::Delete, route.destination?);
    request.inits = route.inits & RTV_METRIC;
    request.metrics.metric = route.metrics.metric;
    Some(request)
}

fn flushed(request: &RouteRequest, route: &RouteMessage, namer: &Namer<'_>) -> String {
    let net = request.destination;
    let shown = namer.destination(net, net.prefix_len() < net.max_prefix_len());
    let gateway = match &route.gateway {
        Some(Gateway::Ip(gateway)) => namer.host(*gateway),
        _ => String::new(),
    };
    print::flushed(&shown, &gateway)
}

async fn monitor(options: Options, paths: &Paths, namer: &Namer<'_>) -> anyhow::Result<ExitCode> {
    let connect = Connect {
        family: options.family.unwrap_or(AF_UNSPEC),
        ..Connect::listener()
    };
    let mut client = Client::connect(&paths.route_socket(), &connect).await?;
    loop {
        let message = client.next().await?;
        let mut bytes = Vec::new();
        encode(&message, &mut bytes);
        if !output::print_line(&print::told(&message, bytes.len(), &time(), namer))? {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// The message's length is that of its bytes.
fn encode(message: &Message, out: &mut Vec<u8>) {
    match message {
        Message::Route(message) => message.encode(out),
        Message::IfAddr(message) => message.encode(out),
        Message::IfInfo(message) => message.encode(out),
        Message::IfAnnounce(message) => message.encode(out),
        Message::Desync(message) => message.encode(out),
        _ => {}
    }
}

/// ctime(3), with its newline.
fn time() -> String {
    jiff::Zoned::now()
        .strftime("%a %b %e %H:%M:%S %Y\n")
        .to_string()
}

/// netstat -rn's table, as OpenBSD's `route show`.
async fn show(options: Options, paths: &Paths, namer: &Namer<'_>) -> anyhow::Result<ExitCode> {
    let mut client = connect(paths).await?;
    let routes = table(&mut client, options).await?;
    output::print(print::table(&routes, namer))?;
    Ok(ExitCode::SUCCESS)
}

async fn connect(paths: &Paths) -> anyhow::Result<Client> {
    Ok(Client::connect(&paths.route_socket(), &Connect::default()).await?)
}
