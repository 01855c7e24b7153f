//! The client: one request on one connection to a daemon on this machine.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::model::Failure;
use crate::paths::Paths;

/// How long an answer may take: a daemon that is busier than this is stuck.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest answer: some four million routes.
const ANSWER_MAX: usize = 1 << 30;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "no forwarder is running as instance {instance:?} (no answer at {socket}): start it with `forwarder run --config FILE`{others}"
    )]
    NotRunning {
        /// The instance that was asked.
        instance: String,
        /// Its socket.
        socket: String,
        /// Which ones are running, as the end of the sentence.
        others: String,
    },
    /// The socket is there but not for us.
    #[error("may not talk to {socket}: run this as root, or as a member of the socket's group")]
    Forbidden {
        /// The socket.
        socket: String,
    },
    /// Connecting failed for another reason.
    #[error("cannot connect to {socket}: {cause}")]
    Connect {
        /// The socket.
        socket: String,
        /// What went wrong.
        cause: io::Error,
    },
    /// No answer in time.
    #[error("the daemon has not answered {path} within {} s: see its log", PATIENCE.as_secs())]
    Timeout {
        /// What was asked.
        path: String,
    },
    /// The connection broke, or the other side speaks no HTTP.
    #[error("asking for {path} failed: {detail}")]
    Transport {
        /// What was asked.
        path: String,
        /// What went wrong.
        detail: String,
    },
    /// The daemon's own words.
    #[error("{error}{}", hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default())]
    Refused {
        /// What went wrong.
        error: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The answer is not what this version expects.
    #[error(
        "the answer to {path} is not understood ({cause}): are daemon and command of the same version?"
    )]
    Shape {
        /// What was asked.
        path: String,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
}

/// Asks one instance.
#[derive(Clone, Debug)]
pub struct Client {
    paths: Paths,
}

impl Client {
    /// A client of the instance with these paths; connects with each request.
    pub fn new(paths: Paths) -> Self {
        Client { paths }
    }

    /// `GET`, as it comes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get_text(&self, path: &str) -> Result<Bytes, ClientError> {
        self.request(Method::GET, path, Bytes::new()).await
    }

    /// `GET`, understood.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        parse(path, &self.get_text(path).await?)
    }

    /// `POST` with a JSON body.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| transport(path, &error))?;
        parse(path, &self.request(Method::POST, path, body.into()).await?)
    }

    /// Whether a daemon accepts connections.
    pub async fn is_listening(&self) -> bool {
        UnixStream::connect(self.paths.api_socket()).await.is_ok()
    }

    async fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, ClientError> {
        let exchange = self.exchange(method, path, body);
        tokio::time::timeout(PATIENCE, exchange)
            .await
            .unwrap_or_else(|_| {
                Err(ClientError::Timeout {
                    path: path.to_owned(),
                })
            })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, ClientError> {
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| transport(path, &error))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "forwarder")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| transport(path, &error))?;
        let exchange = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(|error| transport(path, &error))?;
            let succeeded = response.status().is_success();
            let body = Limited::new(response.into_body(), ANSWER_MAX)
                .collect()
                .await
                .map_err(|error| transport(path, &error))?;
            if succeeded {
                Ok(body.to_bytes())
            } else {
                Err(refused(path, &body.to_bytes()))
            }
        };
        // The connection has to be driven beside the exchange, which sees its
        // errors too; a task of its own would outlive a timeout.
        let driven = async {
            let _ = connection.await;
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            answer = exchange => answer,
            never = driven => match never {},
        }
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        let path = self.paths.api_socket();
        UnixStream::connect(&path)
            .await
            .map_err(|error| self.connect_error(&path, error))
    }

    pub(super) fn connect_error(&self, path: &Path, error: io::Error) -> ClientError {
        let socket = path.display().to_string();
        match error.kind() {
            // Refused: the socket of a daemon that has crashed.
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NotRunning {
                instance: self.paths.instance.to_string(),
                socket,
                others: self.others(),
            },
            io::ErrorKind::PermissionDenied => ClientError::Forbidden { socket },
            _ => ClientError::Connect {
                socket,
                cause: error,
            },
        }
    }

    fn others(&self) -> String {
        let mut names = self.paths.instances();
        names.retain(|name| *name != self.paths.instance.to_string());
        match names.as_slice() {
            [] => String::new(),
            names => format!(", or choose one with --instance: {}", names.join(", ")),
        }
    }
}

fn transport(path: &str, error: &dyn std::fmt::Display) -> ClientError {
    ClientError::Transport {
        path: path.to_owned(),
        detail: error.to_string(),
    }
}

fn refused(path: &str, body: &[u8]) -> ClientError {
    match serde_json::from_slice::<Failure>(body) {
        Ok(Failure { error, hint }) => ClientError::Refused { error, hint },
        Err(cause) => ClientError::Shape {
            path: path.to_owned(),
            cause,
        },
    }
}

fn parse<T: DeserializeOwned>(path: &str, body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|cause| ClientError::Shape {
        path: path.to_owned(),
        cause,
    })
}
