//! The server: routes, and what every request passes through.

use crate::locate::Reader;
use crate::respond::{Answer, done, takes, with_header};
use crate::{ApiContext, ApiFailure, metrics};
use crate::{blobs, blocks, committees, config, debug, events, node, pool, rewards, states, validator, validators};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, ORIGIN, VARY};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use beacon_api::{JSON, SSZ};
use http_server::{Limits, Listener};
use runtime::Shutdown;
use std::sync::Arc;
use std::time::Instant;
use types::Preset;

/// Serves until the shutdown.
pub async fn serve<P: Preset>(context: ApiContext<P>, listener: Listener, shutdown: Shutdown) {
    let routes = router(&Arc::new(context), shutdown.clone());
    http_server::serve(listener, routes, Limits::default(), shutdown).await;
}

fn router<P: Preset>(context: &Arc<ApiContext<P>>, shutdown: Shutdown) -> Router {
    let reader = Arc::new(Reader::new(Arc::clone(context), shutdown));
    let reading = Router::new()
        .merge(node::routes())
        .merge(pool::routes())
        .merge(validator::routes())
        .merge(config::routes())
        .merge(states::routes())
        .merge(validators::routes())
        .merge(committees::routes())
        .merge(blocks::routes())
        .merge(blobs::routes())
        .merge(debug::routes())
        .merge(rewards::routes())
        .merge(events::routes())
        .with_state(reader);
    reading
        .fallback(|| async { ApiFailure::not_found("unknown endpoint") })
        .method_not_allowed_fallback(|| async {
            ApiFailure::new(StatusCode::METHOD_NOT_ALLOWED, "this endpoint has no such method")
        })
        .layer(middleware::from_fn_with_state(Arc::clone(context), observe::<P>))
}

/// Counts, logs, and tells web pages whether they may read.
async fn observe<P: Preset>(State(context): State<Arc<ApiContext<P>>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let uri = request.uri().clone();
    let accept = request.headers().clone();
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unknown".to_owned(), |path| path.as_str().to_owned());
    let allowed = context.settings.allow_origin.as_ref().and_then(|allow| {
        let origin = request.headers().get(ORIGIN)?.to_str().ok()?;
        allow.answer(origin).map(str::to_owned)
    });
    let is_preflight = method == Method::OPTIONS && context.settings.allow_origin.is_some();
    let response = if is_preflight {
        preflight().into_response()
    } else {
        next.run(request).await
    };
    let response = only_what_is_taken(&accept, response);
    let elapsed = started.elapsed();
    metrics::note_answer(&path, response.status().as_u16(), elapsed.as_secs_f64());
    tracing::debug!(
        %method,
        path = uri.path(),
        status = response.status().as_u16(),
        elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        "HTTP API request"
    );
    match allowed {
        Some(origin) => with_header(
            with_header(response, ACCESS_CONTROL_ALLOW_ORIGIN.as_str(), &origin),
            VARY.as_str(),
            "Origin",
        ),
        None => response,
    }
}

/// An answer in a format that the reader does not take is none. Errors are sent in any case: they say what is wrong.
fn only_what_is_taken(accept: &HeaderMap, response: Response) -> Response {
    let media_type = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    match media_type {
        Some(media_type @ (JSON | SSZ)) if response.status().is_success() && !takes(accept, media_type) => {
            let message = format!("this endpoint answers in {media_type}, which the header Accept does not name");
            ApiFailure::new(StatusCode::NOT_ACCEPTABLE, message).into_response()
        }
        _ => response,
    }
}

/// What a browser asks before it sends a request that is not simple.
fn preflight() -> Answer {
    let response = with_header(done()?, "access-control-allow-methods", "GET, POST");
    Ok(with_header(
        response,
        "access-control-allow-headers",
        "content-type, accept, eth-consensus-version",
    ))
}
