//! `/metrics` for Prometheus.

use crate::ClientError;
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use runtime::Shutdown;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Serves until the end.
pub(crate) async fn serve(
    address: SocketAddr,
    allow_origin: Option<String>,
    mut shutdown: Shutdown,
) -> Result<(), ClientError> {
    let listener = TcpListener::bind(address).await.map_err(|reason| ClientError::Listen {
        server: "metrics server",
        address: address.to_string(),
        reason,
    })?;
    tracing::info!(%address, "Metrics server started");
    let routes = Router::new().route("/metrics", get(move || async move { answer(allow_origin.as_deref()) }));
    tokio::spawn(async move {
        let server = axum::serve(listener, routes);
        tokio::select! {
            result = async { server.await } => if let Err(error) = result {
                tracing::error!(%error, "Metrics server has stopped");
            },
            _ = shutdown.wait() => {}
        }
    });
    Ok(())
}

fn answer(allow_origin: Option<&str>) -> Response {
    let mut response = match runtime::gather() {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    };
    if let Some(Ok(origin)) = allow_origin.map(str::parse) {
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}
