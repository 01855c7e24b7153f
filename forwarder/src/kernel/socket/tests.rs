use super::super::testing::{in_namespace, run};
use super::super::wire::Messages;
use super::*;

#[test]
fn notifications_of_joined_groups_arrive() {
    in_namespace(|| async {
        let groups = [libc::RTNLGRP_LINK];
        let socket = NetlinkSocket::open(Protocol::ROUTE, &groups, 64 * 1024).unwrap();
        let mut buffer = vec![0; READ_BUFFER];
        assert!(socket.try_receive(&mut buffer).unwrap().is_none());
        run("ip link add b0 type bridge");
        let datagram = socket.receive(&mut buffer).await.unwrap();
        let (header, _) = Messages::new(datagram).next().unwrap().unwrap();
        assert_eq!(header.kind, libc::RTM_NEWLINK);
    });
}

#[test]
fn an_overrun_is_told_and_the_socket_works_on() {
    in_namespace(|| async {
        let groups = [libc::RTNLGRP_IPV4_IFADDR];
        let socket = NetlinkSocket::open(Protocol::ROUTE, &groups, 4096).unwrap();
        for n in 1..100 {
            run(&format!("ip addr add 10.0.0.{n}/32 dev lo"));
        }
        let mut buffer = vec![0; READ_BUFFER];
        // The reactor has to run once to learn that there is something.
        let first = socket.receive(&mut buffer).await.map(|_| ());
        assert!(matches!(first, Err(ReceiveError::Overrun)), "{first:?}");
        while socket.try_receive(&mut buffer).unwrap().is_some() {}
        run("ip addr add 10.0.1.1/32 dev lo");
        assert!(!socket.receive(&mut buffer).await.unwrap().is_empty());
    });
}

#[test]
fn errors_say_what_to_do() {
    let denied = open_error(
        Protocol::ROUTE,
        "bind",
        io::Error::from_raw_os_error(libc::EPERM),
    );
    let text = denied.to_string();
    assert!(
        text.contains("NETLINK_ROUTE") && text.contains("CAP_NET_ADMIN"),
        "{text}"
    );
    let missing = io::Error::from_raw_os_error(libc::EPROTONOSUPPORT);
    assert!(open_error(Protocol::XFRM, "socket", missing).is_unsupported());
    assert!(!denied.is_unsupported());
}
