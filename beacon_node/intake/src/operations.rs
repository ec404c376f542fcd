//! Exits, slashings, changes: what waits in the pool for a block.

use crate::{Accepted, Intake, Outgoing};
use gossip_validation::{
    AddressChangeGossipError, AttesterSlashingGossipError, ExitGossipError, KeySetChangeGossipError,
    ProposerSlashingGossipError, VerifiedExit, VerifiedKeySetChange,
};
use state_transition::dvt::signers::Quorum;
use std::sync::Arc;
use types::{
    AttesterSlashing, Preset, ProposerSlashing, SignedBLSToExecutionChange, SignedKeySetChange, SignedVoluntaryExit,
};

impl<P: Preset> Intake<P> {
    /// An exit from the network: complete.
    pub async fn receive_voluntary_exit(&self, exit: SignedVoluntaryExit) -> Result<(), ExitGossipError> {
        let VerifiedExit { exit, .. } = self.gossip.verify_voluntary_exit(exit, Quorum::Threshold).await?;
        self.tell(|| Accepted::VoluntaryExit(Arc::new(exit.clone())));
        self.pool.insert_voluntary_exit(exit);
        Ok(())
    }

    /// An exit from the API: published if it is complete. A member's part is kept until enough add up.
    pub async fn submit_voluntary_exit(&self, exit: SignedVoluntaryExit) -> Result<(), ExitGossipError> {
        let VerifiedExit {
            exit,
            is_complete,
            state,
        } = self.gossip.verify_voluntary_exit(exit, Quorum::Member).await?;
        let complete = if is_complete {
            self.pool.insert_voluntary_exit(exit.clone());
            Some(exit)
        } else {
            let spec = self.chain().spec();
            match self.pool.insert_voluntary_exit_part(&exit, &state, spec) {
                Ok(complete) => complete,
                Err(error) => {
                    tracing::warn!(validator = %exit.message().validator_index, %error, "Part of an exit is not kept");
                    None
                }
            }
        };
        match complete {
            Some(exit) => {
                self.tell(|| Accepted::VoluntaryExit(Arc::new(exit.clone())));
                self.publish(Outgoing::VoluntaryExit(Box::new(exit))).await;
            }
            None => tracing::info!("Part of an exit is kept until enough members have signed"),
        }
        Ok(())
    }

    /// A key-set change from the network: complete.
    pub async fn receive_key_set_change(&self, change: SignedKeySetChange) -> Result<(), KeySetChangeGossipError> {
        let verified = self.gossip.verify_key_set_change(change, Quorum::Threshold).await?;
        self.tell(|| Accepted::KeySetChange(Arc::new(verified.change.clone())));
        self.pool.insert_key_set_change(verified.change, verified.slot);
        Ok(())
    }

    /// A key-set change from the API: published if it is complete. A member's part is kept until enough add up.
    pub async fn submit_key_set_change(&self, change: SignedKeySetChange) -> Result<(), KeySetChangeGossipError> {
        let VerifiedKeySetChange {
            change,
            is_complete,
            state,
            slot,
        } = self.gossip.verify_key_set_change(change, Quorum::Member).await?;
        let complete = if is_complete {
            self.pool.insert_key_set_change(change.clone(), slot);
            Some(change)
        } else {
            let spec = self.chain().spec();
            match self.pool.insert_key_set_change_part(&change, &state, slot, spec) {
                Ok(complete) => complete,
                Err(error) => {
                    tracing::warn!(
                        validator = %change.message.validator_index,
                        %error,
                        "Part of a key-set change is not kept"
                    );
                    None
                }
            }
        };
        match complete {
            Some(change) => {
                self.tell(|| Accepted::KeySetChange(Arc::new(change.clone())));
                self.publish(Outgoing::KeySetChange(Box::new(change))).await;
            }
            None => tracing::info!("Part of a key-set change is kept until enough members have signed"),
        }
        Ok(())
    }

    /// Evidence against a proposer, from the network.
    pub async fn receive_proposer_slashing(
        &self,
        slashing: ProposerSlashing,
    ) -> Result<ProposerSlashing, ProposerSlashingGossipError> {
        let slashing = self.gossip.verify_proposer_slashing(slashing).await?;
        self.pool.insert_proposer_slashing(slashing.clone());
        self.tell(|| Accepted::ProposerSlashing(Arc::new(slashing.clone())));
        Ok(slashing)
    }

    /// Evidence against a proposer, from the API: as from the network, then published.
    pub async fn submit_proposer_slashing(
        &self,
        slashing: ProposerSlashing,
    ) -> Result<(), ProposerSlashingGossipError> {
        let slashing = self.receive_proposer_slashing(slashing).await?;
        self.publish(Outgoing::ProposerSlashing(Box::new(slashing))).await;
        Ok(())
    }

    /// Evidence against attesters, from the network. Those whom it is against by the justified state have no weight in
    /// the fork choice from now on.
    pub async fn receive_attester_slashing(
        &self,
        slashing: AttesterSlashing<P>,
    ) -> Result<AttesterSlashing<P>, AttesterSlashingGossipError> {
        let verified = self.gossip.verify_attester_slashing(slashing).await?;
        self.chain().apply_attester_slashing(verified.equivocating);
        self.pool.insert_attester_slashing(verified.slashing.clone());
        self.tell(|| Accepted::AttesterSlashing(Arc::new(verified.slashing.clone())));
        Ok(verified.slashing)
    }

    /// Evidence against attesters, from the API: as from the network, then published.
    pub async fn submit_attester_slashing(
        &self,
        slashing: AttesterSlashing<P>,
    ) -> Result<(), AttesterSlashingGossipError> {
        let slashing = self.receive_attester_slashing(slashing).await?;
        self.publish(Outgoing::AttesterSlashing(Box::new(slashing))).await;
        Ok(())
    }

    /// A change of withdrawal credentials, from the network.
    pub async fn receive_bls_to_execution_change(
        &self,
        change: SignedBLSToExecutionChange,
    ) -> Result<SignedBLSToExecutionChange, AddressChangeGossipError> {
        let change = self.gossip.verify_bls_to_execution_change(change).await?;
        self.pool.insert_bls_to_execution_change(change.clone());
        self.tell(|| Accepted::BlsToExecutionChange(Arc::new(change.clone())));
        Ok(change)
    }

    /// A change of withdrawal credentials, from the API: as from the network, then published.
    pub async fn submit_bls_to_execution_change(
        &self,
        change: SignedBLSToExecutionChange,
    ) -> Result<(), AddressChangeGossipError> {
        let change = self.receive_bls_to_execution_change(change).await?;
        self.publish(Outgoing::BlsToExecutionChange(Box::new(change))).await;
        Ok(())
    }
}
