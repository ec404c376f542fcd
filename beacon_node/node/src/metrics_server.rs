//! `/metrics` for Prometheus.

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http_server::{Limits, ListenError, Listener};
use network::NetworkHandle;
use runtime::Shutdown;
use std::net::SocketAddr;

/// Serves until the end.
pub(crate) async fn serve(
    address: SocketAddr,
    allow_origin: Option<String>,
    network: NetworkHandle,
    shutdown: Shutdown,
) -> Result<(), ListenError> {
    let listener = Listener::bind("Metrics server", address).await?;
    let routes = Router::new().route(
        "/metrics",
        get(move || async move { answer(&network, allow_origin.as_deref()) }),
    );
    tokio::spawn(http_server::serve(listener, routes, Limits::default(), shutdown));
    Ok(())
}

fn answer(network: &NetworkHandle, allow_origin: Option<&str>) -> Response {
    let text = match runtime::gather() {
        Ok(text) => text,
        Err(error) => return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    };
    let body = text + &network.libp2p_metrics();
    let mut response = ([(CONTENT_TYPE, "text/plain; version=0.0.4")], body).into_response();
    if let Some(Ok(origin)) = allow_origin.map(str::parse) {
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}
