//! Routes, the token, and limits.

use crate::keymanager::{Failure, Keymanager};
use crate::token::ApiToken;
use crate::wire::{Data, DeleteKeys, ImportKeystores, ImportRemoteKeys, SetFeeRecipient, SetGraffiti};
use axum::body::Bytes;
use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, ORIGIN,
    VARY,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http_server::{Limits, Listener, read_body};
use runtime::{AllowOrigin, Shutdown};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use types::{Epoch, PublicKeyBytes};

/// Ten thousand keystores, with their passwords, have about this size.
const BODY_LIMIT_BYTES: usize = 16 << 20;
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(60);

/// What the server needs.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub listener: Listener,
    /// What callers have to show.
    pub token: ApiToken,
    /// Web pages that may use it.
    pub allow_origin: Option<AllowOrigin>,
    /// The keys, once the client knows its chain; until then every request is answered with 503.
    pub keymanager: watch::Receiver<Option<Arc<Keymanager>>>,
}

#[derive(Debug)]
struct Shared {
    token: ApiToken,
    allow_origin: Option<AllowOrigin>,
    keymanager: watch::Receiver<Option<Arc<Keymanager>>>,
}

type Answer = Result<Response, Failure>;
type Keys = State<Arc<Shared>>;

impl Shared {
    fn keymanager(&self) -> Result<Arc<Keymanager>, Failure> {
        self.keymanager
            .borrow()
            .clone()
            .ok_or_else(|| Failure::new(503, "the client waits for a beacon node that knows genesis"))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.0)).into_response()
    }
}

/// Serves until the shutdown.
pub async fn serve(server: Server, shutdown: Shutdown) {
    let routes = router(Arc::new(Shared {
        token: server.token,
        allow_origin: server.allow_origin,
        keymanager: server.keymanager,
    }));
    http_server::serve(server.listener, routes, Limits::default(), shutdown).await;
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(
            "/eth/v1/keystores",
            get(list_keystores).post(import_keystores).delete(delete_keystores),
        )
        .route(
            "/eth/v1/remotekeys",
            get(list_remote_keys)
                .post(import_remote_keys)
                .delete(delete_remote_keys),
        )
        .route(
            "/eth/v1/validator/{pubkey}/feerecipient",
            get(fee_recipient).post(set_fee_recipient).delete(delete_fee_recipient),
        )
        .route(
            "/eth/v1/validator/{pubkey}/gas_limit",
            get(gas_limit).post(gas_limit).delete(gas_limit),
        )
        .route(
            "/eth/v1/validator/{pubkey}/graffiti",
            get(graffiti).post(set_graffiti).delete(delete_graffiti),
        )
        .route("/eth/v1/validator/{pubkey}/voluntary_exit", post(sign_exit))
        .fallback(|| async { Failure::new(404, "unknown endpoint") })
        .method_not_allowed_fallback(|| async { Failure::new(405, "this endpoint has no such method") })
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), admit))
        .with_state(shared)
}

/// Lets in who shows the token, and tells web pages whether they may read.
async fn admit(State(shared): Keys, request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let allowed = origin
        .and_then(|origin| shared.allow_origin.as_ref()?.answer(origin))
        .and_then(|origin| HeaderValue::from_str(origin).ok());
    let mut response = if request.method() == Method::OPTIONS && shared.allow_origin.is_some() {
        // A browser asks without a token first.
        preflight()
    } else {
        match check_token(&shared.token, &request) {
            Ok(()) => next.run(request).await,
            Err(failure) => failure.into_response(),
        }
    };
    if let Some(allowed) = allowed {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(VARY, HeaderValue::from_static("Origin"));
    }
    response
}

fn check_token(token: &ApiToken, request: &Request) -> Result<(), Failure> {
    let missing = || Failure::new(401, "expected the header `Authorization: Bearer TOKEN`");
    let shown = request.headers().get(AUTHORIZATION).ok_or_else(missing)?;
    let shown = shown.to_str().map_err(|_| missing())?;
    let (kind, shown) = shown.split_once(' ').ok_or_else(missing)?;
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(missing());
    }
    if !token.is(shown.trim()) {
        return Err(Failure::new(403, "the token is not the one of this client"));
    }
    Ok(())
}

fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, DELETE"),
    );
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-type"),
    );
    response
}

fn data(data: impl Serialize) -> Answer {
    Ok(Json(Data { data }).into_response())
}

/// What a caller has sent, within limits.
struct Sent(Bytes);

impl<S: Send + Sync> FromRequest<S> for Sent {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        read_body(request.into_body(), BODY_LIMIT_BYTES, BODY_TIME)
            .await
            .map(Self)
            .map_err(|error| Failure::new(error.status().as_u16(), error.to_string()))
    }
}

/// A body in JSON, whatever its header says: callers of other clients leave it out.
fn read<T: DeserializeOwned>(body: &Sent) -> Result<T, Failure> {
    serde_json::from_slice(&body.0).map_err(|error| Failure::bad_request(format!("request body: {error}")))
}

fn key(text: &str) -> Result<PublicKeyBytes, Failure> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(128).collect();
        Failure::bad_request(format!(
            "public key: expected 0x and 96 hexadecimal digits, found {shown:?}"
        ))
    })
}

async fn list_keystores(State(shared): Keys) -> Answer {
    data(shared.keymanager()?.list_keystores().await?)
}

async fn import_keystores(State(shared): Keys, body: Sent) -> Answer {
    let request: ImportKeystores = read(&body)?;
    data(shared.keymanager()?.import_keystores(request).await?)
}

async fn delete_keystores(State(shared): Keys, body: Sent) -> Answer {
    let request: DeleteKeys = read(&body)?;
    let deleted = shared.keymanager()?.delete_keystores(request.pubkeys).await?;
    Ok(Json(deleted).into_response())
}

async fn list_remote_keys(State(shared): Keys) -> Answer {
    data(shared.keymanager()?.list_remote_keys().await?)
}

async fn import_remote_keys(State(shared): Keys, body: Sent) -> Answer {
    let request: ImportRemoteKeys = read(&body)?;
    data(shared.keymanager()?.import_remote_keys(request.remote_keys).await?)
}

async fn delete_remote_keys(State(shared): Keys, body: Sent) -> Answer {
    let request: DeleteKeys = read(&body)?;
    data(shared.keymanager()?.delete_remote_keys(request.pubkeys).await?)
}

async fn fee_recipient(State(shared): Keys, Path(pubkey): Path<String>) -> Answer {
    data(shared.keymanager()?.fee_recipient(key(&pubkey)?).await?)
}

async fn set_fee_recipient(State(shared): Keys, Path(pubkey): Path<String>, body: Sent) -> Answer {
    let (pubkey, request): (_, SetFeeRecipient) = (key(&pubkey)?, read(&body)?);
    let recipient = Some(request.ethaddress);
    shared.keymanager()?.set_fee_recipient(pubkey, recipient).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

async fn delete_fee_recipient(State(shared): Keys, Path(pubkey): Path<String>) -> Answer {
    shared.keymanager()?.set_fee_recipient(key(&pubkey)?, None).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// It is what a builder is told, and there is none.
async fn gas_limit(Path(pubkey): Path<String>) -> Answer {
    key(&pubkey)?;
    Err(Failure::bad_request(
        "no external builder is configured: this client asks none, and a gas limit would have no effect",
    ))
}

async fn graffiti(State(shared): Keys, Path(pubkey): Path<String>) -> Answer {
    data(shared.keymanager()?.graffiti(key(&pubkey)?).await?)
}

async fn set_graffiti(State(shared): Keys, Path(pubkey): Path<String>, body: Sent) -> Answer {
    let (pubkey, request): (_, SetGraffiti) = (key(&pubkey)?, read(&body)?);
    shared
        .keymanager()?
        .set_graffiti(pubkey, Some(request.graffiti))
        .await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

async fn delete_graffiti(State(shared): Keys, Path(pubkey): Path<String>) -> Answer {
    shared.keymanager()?.set_graffiti(key(&pubkey)?, None).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn sign_exit(
    State(shared): Keys,
    Path(pubkey): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let epoch = match query.get("epoch") {
        None => None,
        Some(text) => Some(text.parse().map(Epoch::new).map_err(|_| {
            let shown: String = text.chars().take(128).collect();
            Failure::bad_request(format!("epoch: expected a number, found {shown:?}"))
        })?),
    };
    data(shared.keymanager()?.sign_exit(key(&pubkey)?, epoch).await?)
}
