use tokio::io::AsyncReadExt as _;
use tokio::net::UnixListener;

use super::fake::{Fake, Running};
use super::fixtures;
use crate::api::client::{Client, ClientError};
use crate::api::model::{Counters, Done, Route, Status};
use crate::paths::Paths;

fn client(server: &Running) -> Client {
    Client::new(server.paths.clone())
}

#[tokio::test]
async fn answers_come_back_as_they_were_given() {
    let server = Running::start(Fake::default());
    let status: Status = client(&server).get("/v1/status").await.unwrap();
    assert_eq!(status, fixtures::status());
    let routes: Vec<Route> = client(&server).get("/v1/routes").await.unwrap();
    assert_eq!(routes, [fixtures::route()]);
    let counters: Counters = client(&server).get("/v1/counters").await.unwrap();
    assert_eq!(
        counters,
        crate::api::counters::summarize(
            &[fixtures::port_counters()],
            vec![fixtures::route_counter()]
        )
    );
    let done: Done = client(&server).post("/v1/stop", &()).await.unwrap();
    assert_eq!(done.message, "stop");
    server.stop().await;
}

#[tokio::test]
async fn the_daemon_s_refusal_is_shown_with_its_hint() {
    let server = Running::start(Fake::default());
    let error = client(&server)
        .post::<Done>("/v1/reload", &())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "forwarder.toml:3:1: unknown key `x`\nhint: nothing was changed"
    );
    server.stop().await;
}

#[tokio::test]
async fn nobody_there_is_told_with_what_to_do() {
    let server = Running::start(Fake::default());
    let base = server.base();
    let elsewhere = Paths::below("lab".parse().unwrap(), base, base, base);
    let error = Client::new(elsewhere)
        .get::<Status>("/v1/status")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no forwarder is running as instance \"lab\""),
        "{error}"
    );
    assert!(error.contains("forwarder run --config FILE"), "{error}");
    assert!(
        error.ends_with("or choose one with --instance: default"),
        "{error}"
    );
    server.stop().await;
}

#[tokio::test]
async fn the_socket_of_a_crashed_daemon_counts_as_nobody() {
    let base = tempfile::tempdir().unwrap();
    let paths = Paths::below("x".parse().unwrap(), base.path(), base.path(), base.path());
    std::fs::create_dir_all(&paths.run_dir).unwrap();
    drop(UnixListener::bind(paths.api_socket()).unwrap());
    let error = Client::new(paths)
        .get::<Status>("/v1/status")
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { .. }), "{error}");
}

/// By the kind of error: the tests run as root, whom no file mode stops.
#[tokio::test]
async fn a_forbidden_socket_names_who_may() {
    let server = Running::start(Fake::default());
    let denied = std::io::ErrorKind::PermissionDenied.into();
    let error = client(&server).connect_error(&server.socket(), denied);
    assert!(matches!(error, ClientError::Forbidden { .. }), "{error}");
    assert!(error.to_string().contains("as root"), "{error}");
    server.stop().await;
}

/// A listener that hangs up, and one that answers nonsense.
#[tokio::test]
async fn a_broken_answer_is_an_error_and_no_hang() {
    let base = tempfile::tempdir().unwrap();
    let paths = Paths::below("x".parse().unwrap(), base.path(), base.path(), base.path());
    std::fs::create_dir_all(&paths.run_dir).unwrap();
    let listener = UnixListener::bind(paths.api_socket()).unwrap();
    let client = Client::new(paths);
    for answer in [
        "",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
    ] {
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes())
                .await
                .unwrap();
        };
        let (result, ()) = tokio::join!(client.get::<Status>("/v1/status"), serve);
        assert!(
            matches!(result, Err(ClientError::Transport { .. })),
            "{answer:?}: {result:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_of_another_version_says_so() {
    let server = Running::start(Fake::default());
    let error = client(&server)
        .get::<Vec<Route>>("/v1/status")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("of the same version"), "{error}");
    server.stop().await;
}
