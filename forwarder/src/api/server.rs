//! The server: paths, parameters and error answers. Knows nothing but the
//! [`Backend`].

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Json, Query, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;

use super::backend::{ApiError, ApiErrorKind, Backend, EventQuery, Reply, RouteQuery, RouteTable};
use super::bounded::Bounded;
use super::counters;
use super::metrics::{self, Sample};
use super::model::{Counters, Failure, RipClear, RipRequest};

/// Largest body of a request; the real ones have a few dozen bytes.
const BODY_MAX: usize = 4096;

/// Answers requests on `listener` until `shutdown` is done, and those that have
/// begun by then.
///
/// # Errors
/// The socket cannot be used any longer.
pub async fn serve<B: Backend>(
    listener: UnixListener,
    backend: Arc<B>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(Bounded::new(listener), router(backend))
        .with_graceful_shutdown(shutdown)
        .await
}

/// Every path of the API.
pub fn router<B: Backend>(backend: Arc<B>) -> Router {
    Router::new()
        .merge(questions::<B>())
        .merge(rip_questions::<B>())
        .merge(commands::<B>())
        .route("/metrics", get(scrape::<B>))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(backend)
}

type Daemon<B> = State<Arc<B>>;

fn questions<B: Backend>() -> Router<Arc<B>> {
    Router::new()
        .route(
            "/v1/status",
            get(async |State(b): Daemon<B>| answer(b.status().await).await),
        )
        .route("/v1/routes", get(routes::<B>))
        .route("/v1/lookup", get(lookup::<B>))
        .route(
            "/v1/interfaces",
            get(async |State(b): Daemon<B>| answer(b.interfaces().await).await),
        )
        .route(
            "/v1/neighbors",
            get(async |State(b): Daemon<B>| answer(b.neighbors().await).await),
        )
        .route(
            "/v1/nexthops",
            get(async |State(b): Daemon<B>| answer(b.nexthops().await).await),
        )
        .route(
            "/v1/clients",
            get(async |State(b): Daemon<B>| answer(b.clients().await).await),
        )
        .route("/v1/counters", get(counters::<B>))
        .route("/v1/events", get(events::<B>))
        .route(
            "/v1/fib",
            get(async |State(b): Daemon<B>| answer(b.fib().await).await),
        )
        .route("/v1/fib/routes", get(fib_routes::<B>))
}

fn rip_questions<B: Backend>() -> Router<Arc<B>> {
    Router::new()
        .route(
            "/v1/rip/interfaces",
            get(async |State(b): Daemon<B>| answer(b.rip_interfaces().await).await),
        )
        .route(
            "/v1/rip/neighbors",
            get(async |State(b): Daemon<B>| answer(b.rip_neighbors().await).await),
        )
        .route(
            "/v1/rip/routes",
            get(async |State(b): Daemon<B>| answer(b.rip_routes().await).await),
        )
        .route(
            "/v1/rip/errors",
            get(async |State(b): Daemon<B>| answer(b.rip_errors().await).await),
        )
}

fn commands<B: Backend>() -> Router<Arc<B>> {
    Router::new()
        .route(
            "/v1/reload",
            post(async |State(b): Daemon<B>| answer(b.reload().await).await),
        )
        .route(
            "/v1/stop",
            post(async |State(b): Daemon<B>| answer(b.stop().await).await),
        )
        .route("/v1/rip/clear", post(rip_clear::<B>))
        .route("/v1/rip/request", post(rip_request::<B>))
}

/// Parameters of `/v1/routes`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteParameters {
    table: Option<String>,
    prefix: Option<String>,
}

async fn routes<B: Backend>(
    State(backend): Daemon<B>,
    parameters: Result<Query<RouteParameters>, QueryRejection>,
) -> Response {
    match parameters
        .map_err(|rejection| bad_query(&rejection))
        .and_then(|Query(parameters)| parameters.check())
    {
        Ok(query) => answer(backend.routes(query).await).await,
        Err(error) => failure(error),
    }
}

impl RouteParameters {
    fn check(self) -> Reply<RouteQuery> {
        let table = match self.table.as_deref() {
            None | Some("main") => RouteTable::Main,
            Some("local") => RouteTable::Local,
            Some("all") => RouteTable::All,
            Some(other) => {
                return Err(bad(
                    format!("{other:?} is no table"),
                    "table=main, local or all",
                ));
            }
        };
        let hint = "prefix=198.51.100.0/24";
        let prefix = self.prefix.map(|text| {
            text.parse::<ipnet::IpNet>()
                .map(|prefix| prefix.trunc())
                .map_err(|_| bad(format!("{text:?} is not an IPv4 prefix"), hint))
        });
        Ok(RouteQuery {
            table,
            prefix: prefix.transpose()?,
        })
    }
}

/// Parameters of `/v1/lookup`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LookupParameters {
    address: std::net::IpAddr,
}

async fn lookup<B: Backend>(
    State(backend): Daemon<B>,
    parameters: Result<Query<LookupParameters>, QueryRejection>,
) -> Response {
    match parameters {
        Ok(Query(parameters)) => answer(backend.lookup(parameters.address).await).await,
        Err(rejection) => failure(bad_query(&rejection)),
    }
}

/// Parameters of `/v1/fib/routes`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FibRouteParameters {
    family: Option<String>,
}

async fn fib_routes<B: Backend>(
    State(backend): Daemon<B>,
    parameters: Result<Query<FibRouteParameters>, QueryRejection>,
) -> Response {
    let family = match parameters {
        Ok(Query(parameters)) => parameters.family,
        Err(rejection) => return failure(bad_query(&rejection)),
    };
    match family.as_deref() {
        None | Some("ipv4") => answer(backend.fib_routes(false).await).await,
        Some("ipv6") => answer(backend.fib_routes(true).await).await,
        Some(other) => failure(bad(
            format!("{other:?} is no family"),
            "family=ipv4 or ipv6",
        )),
    }
}

/// Parameters of `/v1/events`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventParameters {
    after: Option<u64>,
    limit: Option<usize>,
}

async fn events<B: Backend>(
    State(backend): Daemon<B>,
    parameters: Result<Query<EventParameters>, QueryRejection>,
) -> Response {
    match parameters {
        Ok(Query(EventParameters { after, limit })) => {
            let limit = limit.unwrap_or(usize::MAX);
            answer(backend.events(EventQuery { after, limit }).await).await
        }
        Err(rejection) => failure(bad_query(&rejection)),
    }
}

async fn counters<B: Backend>(State(backend): Daemon<B>) -> Response {
    answer(summary(&*backend).await).await
}

async fn summary<B: Backend>(backend: &B) -> Reply<Counters> {
    let (ports, routes) = (backend.counters().await?, backend.route_counters().await?);
    Ok(counters::summarize(&ports, routes))
}

async fn scrape<B: Backend>(State(backend): Daemon<B>) -> Response {
    match sample(&*backend).await {
        Ok(sample) => {
            let kind = [(
                header::CONTENT_TYPE,
                HeaderValue::from_static(metrics::CONTENT_TYPE),
            )];
            (kind, metrics::encode(&sample)).into_response()
        }
        Err(error) => failure(error),
    }
}

async fn sample<B: Backend>(backend: &B) -> Reply<Sample> {
    let status = backend.status().await?;
    let rip_errors = match status.rip {
        Some(_) => backend.rip_errors().await?,
        None => Vec::new(),
    };
    Ok(Sample {
        counters: backend.counters().await?,
        routes: backend.route_counters().await?,
        fib: backend.fib().await?,
        clients: backend.clients().await?,
        status,
        rip_errors,
    })
}

async fn rip_clear<B: Backend>(
    State(backend): Daemon<B>,
    body: Result<Json<RipClear>, JsonRejection>,
) -> Response {
    match body {
        Ok(Json(what)) => answer(backend.rip_clear(what).await).await,
        Err(rejection) => failure(bad_body(&rejection)),
    }
}

async fn rip_request<B: Backend>(
    State(backend): Daemon<B>,
    body: Result<Json<RipRequest>, JsonRejection>,
) -> Response {
    match body {
        Ok(Json(request)) => answer(backend.rip_request(request.interface).await).await,
        Err(rejection) => failure(bad_body(&rejection)),
    }
}

async fn unknown_path(uri: Uri) -> Response {
    let hint = "the paths are in docs/api.md, /v1/status is one";
    failure(ApiError::new(
        ApiErrorKind::NotFound,
        format!("there is no {}", uri.path()),
        hint,
    ))
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let error = format!("{} does not take {method}", uri.path());
    let hint = "questions are GET, commands are POST";
    (
        StatusCode::METHOD_NOT_ALLOWED,
        Json(Failure {
            error,
            hint: Some(hint.to_owned()),
        }),
    )
        .into_response()
}

fn bad(error: String, hint: &str) -> ApiError {
    ApiError::new(ApiErrorKind::BadRequest, error, hint)
}

fn bad_query(rejection: &QueryRejection) -> ApiError {
    bad(
        rejection.body_text(),
        "see docs/api.md for this path's parameters",
    )
}

fn bad_body(rejection: &JsonRejection) -> ApiError {
    bad(
        rejection.body_text(),
        "send a JSON object with the header Content-Type: application/json; see docs/api.md",
    )
}

/// Turns a reply into JSON. A large one takes its time, so it is written on a
/// thread of its own: the runtime's has the route changes to see to.
async fn answer<T: Serialize + Send + 'static>(reply: Reply<T>) -> Response {
    let value = match reply {
        Ok(value) => value,
        Err(error) => return failure(error),
    };
    let written = tokio::task::spawn_blocking(move || serde_json::to_vec(&value)).await;
    let error = match written {
        Ok(Ok(bytes)) => return json(bytes),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    let hint = "this is a mistake in the program: please report it";
    failure(ApiError::new(
        ApiErrorKind::Internal,
        format!("cannot write the answer: {error}"),
        hint,
    ))
}

fn json(bytes: Vec<u8>) -> Response {
    let kind = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )];
    (kind, Body::from(bytes)).into_response()
}

fn failure(error: ApiError) -> Response {
    let status = match error.kind {
        ApiErrorKind::BadRequest => StatusCode::BAD_REQUEST,
        ApiErrorKind::NotFound => StatusCode::NOT_FOUND,
        ApiErrorKind::Refused => StatusCode::CONFLICT,
        ApiErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ApiErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let body = Failure {
        error: error.error,
        hint: error.hint,
    };
    (status, Json(body)).into_response()
}
