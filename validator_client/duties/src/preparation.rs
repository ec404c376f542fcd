//! Telling nodes who gets the fees.

use crate::Context;
use beacon_api::ProposerPreparation;

impl Context {
    /// Tells all nodes, every epoch: whichever builds a block must know.
    pub(crate) async fn prepare_proposers(&self) {
        let entries = self.indices.entries();
        let settings = self.settings.read().clone();
        let preparations: Vec<ProposerPreparation> = entries
            .into_iter()
            .filter_map(|(key, validator_index)| {
                let fee_recipient = settings.fee_recipient_of(&key)?;
                Some(ProposerPreparation {
                    validator_index,
                    fee_recipient,
                })
            })
            .collect();
        let preparations = &preparations;
        let telling = self.nodes.by_health().into_iter().map(|node| async move {
            if let Err(error) = node.prepare_proposers(preparations).await {
                tracing::warn!(%error, "Beacon node does not know who gets the fees");
            }
        });
        futures::future::join_all(telling).await;
    }
}
