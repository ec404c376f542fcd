//! The keymanager API of a client: its socket is open before anything else is known.

use crate::ClientError;
use crate::args::ValidatorClientArgs;
use crate::start::Common;
use http_server::Listener;
use keymanager::{ApiToken, Keymanager, Server, TOKEN_FILE};
use runtime::ShutdownHandle;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// Where the keys are handed in once they are ready.
pub(crate) type Publisher = watch::Sender<Option<Arc<Keymanager>>>;

/// Listens, and answers with 503 until keys are handed in.
pub(crate) async fn start(
    args: &ValidatorClientArgs,
    common: &Common,
    shutdown: &ShutdownHandle,
) -> Result<Publisher, ClientError> {
    if !args.http_address.is_loopback() && !args.unencrypted_http_transport {
        return Err(ClientError::Flag {
            flag: "http-address",
            reason: format!(
                "{} is open to other machines, and keys would be sent to it in the clear: use a loopback address and a \
                 tunnel, or pass --unencrypted-http-transport if the network is closed",
                args.http_address
            ),
        });
    }
    let token_path = args
        .http_token_path
        .clone()
        .unwrap_or_else(|| common.validators_dir(args).join(TOKEN_FILE));
    let token = ApiToken::open_or_create(&token_path)?;
    let address = SocketAddr::new(args.http_address, args.http_port);
    let listener = Listener::bind("Keymanager API", address).await?;
    tracing::info!(token = %token_path.display(), "Callers of the keymanager API have to show the token");
    let (publisher, keymanager) = watch::channel(None);
    let server = Server {
        listener,
        token,
        allow_origin: args.http_allow_origin.clone(),
        keymanager,
    };
    tokio::spawn(keymanager::serve(server, shutdown.subscribe()));
    Ok(publisher)
}
