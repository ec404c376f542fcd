//! Following the heads of the first node that is well.

use crate::Context;
use beacon_api::{ApiError, Event, EventTopic};
use futures::StreamExt as _;
use std::sync::Arc;
use std::time::Duration;
use types::Preset;

/// After a stream has ended, the next is not asked for before.
const RETRY: Duration = Duration::from_secs(1);

/// Tells the context of every new head; begins again, with the best node, when a stream ends.
pub(crate) async fn follow<P: Preset>(context: Arc<Context>) {
    loop {
        if let Some(node) = context.nodes.by_health().into_iter().next()
            && let Err(error) = follow_node::<P>(&context, &node).await
        {
            tracing::debug!(%error, "Events have ended");
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn follow_node<P: Preset>(context: &Context, node: &beacon_api::BeaconClient) -> Result<(), ApiError> {
    let events = node.events::<P>(&[EventTopic::Head]).await?;
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        if let Event::Head(head) = event? {
            context.head.send_replace(Some(*head));
        }
    }
    Ok(())
}
