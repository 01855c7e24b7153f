//! The real server on a real socket, spoken to in plain HTTP as curl does.

use std::future::{Future as _, poll_fn};
use std::task::Poll;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::fake::{Fake, Running};
use super::fixtures;
use crate::api::model::Route;

struct Response {
    status: u16,
    head: String,
    body: String,
}

impl Response {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

async fn raw(server: &Running, request: &str) -> Response {
    let mut stream = UnixStream::connect(server.socket()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Response {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

async fn get(server: &Running, path: &str) -> Response {
    raw(
        server,
        &format!("GET {path} HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n"),
    )
    .await
}

async fn post(server: &Running, path: &str, body: &str) -> Response {
    let length = body.len();
    let head = "Host: f\r\nConnection: close\r\nContent-Type: application/json";
    let request =
        format!("POST {path} HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}");
    raw(server, &request).await
}

#[tokio::test]
async fn every_question_is_answered_in_json() {
    let server = Running::start(Fake::default());
    for path in [
        "/v1/status",
        "/v1/routes",
        "/v1/lookup?address=198.51.100.7",
        "/v1/interfaces",
        "/v1/neighbors",
        "/v1/nexthops",
        "/v1/clients",
        "/v1/counters",
        "/v1/events",
        "/v1/events?after=3&limit=7",
        "/v1/fib",
        "/v1/fib/routes",
        "/v1/fib/routes?family=ipv6",
        "/v1/rip/interfaces",
        "/v1/rip/neighbors",
        "/v1/rip/routes",
        "/v1/rip/errors",
    ] {
        let response = get(&server, path).await;
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        assert!(
            response.head.contains("content-type: application/json"),
            "{}",
            response.head
        );
        response.json();
    }
    server.stop().await;
}

#[tokio::test]
async fn routes_are_asked_for_by_table_and_prefix() {
    let server = Running::start(Fake::default());
    assert_eq!(get(&server, "/v1/routes").await.status, 200);
    assert_eq!(
        get(&server, "/v1/routes?table=all&prefix=10.1.2.3/8")
            .await
            .status,
        200
    );
    let heard = server.fake.heard.lock().unwrap().clone();
    assert_eq!(
        heard,
        [
            "RouteQuery { table: Main, prefix: None }",
            "RouteQuery { table: All, prefix: Some(10.0.0.0/8) }",
        ]
    );
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_question_is_told_what_would_be_right() {
    let server = Running::start(Fake::default());
    for (path, status) in [
        ("/v1/routes?prefix=10.0.0.0", 400),
        ("/v1/routes?table=7", 400),
        ("/v1/routes?prefx=10.0.0.0/8", 400),
        ("/v1/lookup", 400),
        ("/v1/lookup?address=host", 400),
        ("/v1/nothing", 404),
        ("/", 404),
        ("/v1/reload", 405),
    ] {
        let response = get(&server, path).await;
        assert_eq!(response.status, status, "{path}: {}", response.body);
        let body = response.json();
        assert!(
            body["error"].is_string() && body["hint"].is_string(),
            "{path}: {body}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn commands_reach_the_daemon() {
    let server = Running::start(Fake::default());
    let clear = |body| post(&server, "/v1/rip/clear", body);
    assert_eq!(
        clear(r#"{"clear":"neighbor","address":"192.0.2.1"}"#)
            .await
            .status,
        200
    );
    assert_eq!(clear(r#"{"clear":"routes"}"#).await.status, 200);
    assert_eq!(clear(r#"{"clear":"counters"}"#).await.status, 200);
    assert_eq!(
        post(&server, "/v1/rip/request", r#"{"interface":"eth1"}"#)
            .await
            .status,
        200
    );
    let stopped = post(&server, "/v1/stop", "").await;
    assert_eq!(
        (stopped.status, stopped.json()),
        (200, json!({ "message": "stop" }))
    );
    let heard = server.fake.heard.lock().unwrap().clone();
    let expected = [
        "Neighbor { address: 192.0.2.1 }",
        "Routes",
        "Counters",
        "request eth1",
        "stop",
    ];
    assert_eq!(heard, expected);
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_command_reaches_nobody() {
    let server = Running::start(Fake::default());
    for body in [
        "",
        "{}",
        r#"{"clear":"all"}"#,
        r#"{"clear":"neighbor"}"#,
        "[1",
        "\u{0}",
    ] {
        let response = post(&server, "/v1/rip/clear", body).await;
        assert!(
            (400..500).contains(&response.status),
            "{body:?}: {}",
            response.status
        );
        assert!(response.json()["hint"].is_string());
    }
    let large = format!(r#"{{"interface":"{}"}}"#, "x".repeat(10_000));
    assert_eq!(post(&server, "/v1/rip/request", &large).await.status, 400);
    assert!(server.fake.heard.lock().unwrap().is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_carries_error_and_hint() {
    let server = Running::start(Fake {
        rip_off: true,
        ..Fake::default()
    });
    let response = post(&server, "/v1/reload", "").await;
    assert_eq!(response.status, 409);
    let expected = json!({
        "error": "forwarder.toml:3:1: unknown key `x`",
        "hint": "nothing was changed",
    });
    assert_eq!(response.json(), expected);
    let response = get(&server, "/v1/rip/neighbors").await;
    assert_eq!(response.status, 404);
    assert_eq!(response.json()["error"], "RIP is not switched on");
    server.stop().await;
}

#[tokio::test]
async fn metrics_are_there_with_and_without_rip() {
    let server = Running::start(Fake::default());
    let response = get(&server, "/metrics").await;
    assert!(
        response
            .head
            .contains("application/openmetrics-text; version=1.0.0")
    );
    assert!(
        response.body.contains("forwarder_rip_refused_total{"),
        "{}",
        response.body
    );
    server.stop().await;
    let server = Running::start(Fake {
        rip_off: true,
        ..Fake::default()
    });
    let response = get(&server, "/metrics").await;
    assert_eq!(response.status, 200);
    assert!(
        !response.body.contains("forwarder_rip"),
        "{}",
        response.body
    );
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_http_disturbs_nobody() {
    let server = Running::start(Fake::default());
    for junk in [
        "\u{0}\u{1}\u{2}\r\n\r\n",
        "GET\r\n\r\n",
        "BREW /v1/status HTCPCP/1.0\r\n\r\n",
    ] {
        let mut stream = UnixStream::connect(server.socket()).await.unwrap();
        stream.write_all(junk.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A reset is as good as an answer here.
        let _ = stream.read_to_end(&mut answer).await;
    }
    assert_eq!(get(&server, "/v1/status").await.status, 200);
    server.stop().await;
}

/// Whoever holds all connections open keeps others waiting, not the daemon
/// without descriptors.
#[tokio::test]
async fn connections_are_limited() {
    let server = Running::start(Fake::default());
    let mut idle = Vec::new();
    for _ in 0..crate::api::bounded::CONNECTIONS {
        let mut stream = UnixStream::connect(server.socket()).await.unwrap();
        // Asked once, so that it has been accepted for certain.
        stream
            .write_all(b"GET /v1/fib HTTP/1.1\r\nHost: f\r\n\r\n")
            .await
            .unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        idle.push(stream);
    }
    let mut waiting = Box::pin(get(&server, "/v1/status"));
    // Enough turns of the one thread for an answer, if one were coming.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
        let pending = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await;
        assert!(pending, "more than the limit were served");
    }
    idle.pop();
    assert_eq!(waiting.await.status, 200);
    server.stop().await;
}

/// The runtime has one thread, as the daemon's: while a large answer is being
/// written it goes on with other work.
#[tokio::test]
async fn a_large_table_holds_up_nobody() {
    let routes: Vec<Route> = vec![fixtures::route(); 50_000];
    let server = Running::start(Fake {
        routes: Some(routes),
        ..Fake::default()
    });
    let large = get(&server, "/v1/routes");
    let small = async {
        for _ in 0..20 {
            assert_eq!(get(&server, "/v1/status").await.status, 200);
        }
    };
    let (large, ()) = tokio::join!(large, small);
    assert_eq!(large.json().as_array().unwrap().len(), 50_000);
    server.stop().await;
}
