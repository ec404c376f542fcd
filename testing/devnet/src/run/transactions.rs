//! Transactions and blobs that a devnet hands to execution clients.

use super::Devnet;
use crate::accounts::Holder;
use crate::bookkeeping::sent;
use crate::calls::calls_of;
use crate::error::DevnetError;
use crate::events::Action;
use crate::layout::NodeNumber;
use crate::rpc::Rpc;
use crate::supply::SUPPLY_BPS;
use std::collections::BTreeMap;
use types::Slot;

impl Devnet {
    /// Hands over the blobs of the next block, when it is time.
    pub(super) async fn supply_blobs(&mut self, slot: u64) -> Result<(), DevnetError> {
        if self.supply.is_none() {
            return Ok(());
        }
        self.clock
            .sleep_until_ms(self.clock.due_ms(Slot::new(slot), SUPPLY_BPS))
            .await;
        let executions: Vec<Rpc> = self.executions().into_values().collect();
        let nonce = match executions.first() {
            Some(rpc) => Some(next_nonce(&mut self.nonces, Holder::Payer, rpc).await?),
            None => None,
        };
        let Some(supply) = &mut self.supply else {
            return Ok(());
        };
        match nonce {
            None => supply.give_to_mocks(&self.processes, slot, &self.genesis.spec)?,
            Some(nonce) => supply.send(slot, nonce, &self.genesis, executions),
        }
        self.observer.record.refused.extend(supply.complaints());
        Ok(())
    }

    /// Sends the transactions of an event to each execution client: they need not know each other.
    pub(super) async fn send(&mut self, action: &Action) -> Result<(), DevnetError> {
        let executions = self.executions();
        for call in calls_of(action, &self.layout, &self.genesis.spec)? {
            // Such scenarios are refused without execution clients.
            let Some(rpc) = executions.values().next() else {
                return Ok(());
            };
            let nonce = next_nonce(&mut self.nonces, call.from, rpc).await?;
            let signed = call.sign(self.genesis.chain_id, nonce)?;
            self.sent.push(sent(format!("{action:?}"), &call, signed.hash)?);
            for rpc in executions.values() {
                // A client that has it from another one refuses it.
                if let Err(error) = rpc.send(&signed.raw).await {
                    tracing::debug!(%error, hash = %signed.hash, "Transaction refused");
                    self.observer.record.refused.insert(error.to_string());
                }
            }
        }
        Ok(())
    }

    pub(super) fn executions(&self) -> BTreeMap<NodeNumber, Rpc> {
        (1..=self.layout.nodes)
            .filter_map(|node| Some((node, self.processes.execution_rpc(node)?)))
            .collect()
    }
}

/// The nonce of an account's next transaction, which is taken by this.
async fn next_nonce(nonces: &mut BTreeMap<Holder, u64>, from: Holder, rpc: &Rpc) -> Result<u64, DevnetError> {
    let nonce = match nonces.get(&from) {
        Some(nonce) => *nonce,
        // Clients that ran before may have a chain.
        None => rpc.nonce(from.address()?).await?,
    };
    nonces.insert(from, nonce + 1);
    Ok(nonce)
}
