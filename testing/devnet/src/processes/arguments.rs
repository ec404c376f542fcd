//! Command lines: what the processes of a devnet are started with.

use super::{Key, Processes, Role, of_node};
use crate::execution::Execution;
use crate::genesis::{EXECUTION_GENESIS, FEE_RECIPIENT};
use crate::layout::NodeNumber;
use std::path::Path;

impl Processes {
    /// Where a node's keys are, as flags.
    pub(crate) fn key_flags(&self, node: NodeNumber) -> [String; 2] {
        let dirs = self.dirs(node);
        [
            format!("--validators-dir={}", dirs.validators.display()),
            format!("--secrets-dir={}", dirs.secrets.display()),
        ]
    }

    fn testnet_flag(&self) -> String {
        format!("--testnet-dir={}", self.settings.network.join("testnet").display())
    }

    /// Arguments of a beacon node: the configuration of any node, without a word about groups.
    fn beacon_arguments(&self, node: NodeNumber) -> Vec<String> {
        let (dirs, ports) = (self.dirs(node), self.ports(node));
        let mut arguments = vec![
            "beacon_node".to_owned(),
            format!("--debug-level={}", self.settings.debug_level),
            format!("--datadir={}", dirs.beacon.display()),
            self.testnet_flag(),
            "--listen-address=127.0.0.1".to_owned(),
            format!("--port={}", ports.p2p),
            format!("--quic-port={}", ports.quic),
            "--enr-address=127.0.0.1".to_owned(),
            format!("--enr-tcp-port={}", ports.p2p),
            format!("--enr-udp-port={}", ports.p2p),
            format!("--enr-quic-port={}", ports.quic),
            "--disable-enr-auto-update".to_owned(),
            "--disable-packet-filter".to_owned(),
            "--enable-private-discovery".to_owned(),
            "--http".to_owned(),
            format!("--http-port={}", ports.http),
            "--metrics".to_owned(),
            format!("--metrics-port={}", ports.metrics),
            format!("--execution-endpoint={}", self.engine_url(node)),
            format!("--execution-jwt={}", dirs.jwt.display()),
            format!("--suggested-fee-recipient={FEE_RECIPIENT}"),
        ];
        match self.checkpoints.get(&node) {
            Some(source) => arguments.push(format!("--checkpoint-sync-url={}", self.url(*source))),
            None => arguments.push("--allow-insecure-genesis-sync".to_owned()),
        }
        if self.has_execution_processes() {
            // All clients verify the blobs of a transaction at the same time, on the cores of one machine.
            arguments.push("--execution-timeout-multiplier=4".to_owned());
        }
        if self.settings.supernodes.contains(&node) {
            arguments.push("--supernode".to_owned());
        }
        // Everybody knows the first node; it knows the second when it comes back.
        let entry = if node == 1 { 2 } else { 1 };
        if let Some(identity) = self.identities.get(&entry) {
            arguments.push(format!("--boot-nodes={}", identity.enr));
        }
        if self.settings.faults {
            arguments.push("--http-enable-fault-injection".to_owned());
        }
        arguments
    }

    fn client_arguments(&self, node: NodeNumber) -> Vec<String> {
        let dirs = self.dirs(node);
        vec![
            "validator_client".to_owned(),
            format!("--debug-level={}", self.settings.debug_level),
            format!("--datadir={}", dirs.client.display()),
            self.testnet_flag(),
            format!("--validators-dir={}", dirs.validators.display()),
            format!("--secrets-dir={}", dirs.secrets.display()),
            "--init-slashing-protection".to_owned(),
            format!("--beacon-nodes={}", self.url(node)),
            format!("--suggested-fee-recipient={FEE_RECIPIENT}"),
        ]
    }

    /// Where the Engine API of a node's execution client is.
    fn engine_url(&self, node: NodeNumber) -> String {
        match &self.settings.execution {
            Execution::Mock | Execution::EthereumJs { .. } => format!("http://127.0.0.1:{}", self.ports(node).engine),
            Execution::Running(running) => of_node(&running.engines, node).unwrap_or_default(),
        }
    }

    /// Arguments of EthereumJS that runs alone: it gets each block from its node.
    fn ethereumjs_arguments(&self, node: NodeNumber, program: &Path) -> Vec<String> {
        let (dirs, ports) = (self.dirs(node), self.ports(node));
        let genesis = self.settings.network.join("testnet").join(EXECUTION_GENESIS);
        vec![
            program.display().to_string(),
            format!("--gethGenesis={}", genesis.display()),
            format!("--dataDir={}", dirs.execution.display()),
            "--rpc".to_owned(),
            "--rpcAddr=127.0.0.1".to_owned(),
            format!("--rpcPort={}", ports.execution_rpc),
            "--rpcEngine".to_owned(),
            "--rpcEngineAddr=127.0.0.1".to_owned(),
            format!("--rpcEnginePort={}", ports.engine),
            format!("--jwtSecret={}", dirs.jwt.display()),
            "--sync=none".to_owned(),
            "--isSingleNode=true".to_owned(),
            "--discV4=false".to_owned(),
            "--discDns=false".to_owned(),
            format!("--port={}", ports.execution_p2p),
            "--extIP=127.0.0.1".to_owned(),
            "--logFile=false".to_owned(),
        ]
    }

    pub(super) fn program(&self, (_, role): Key) -> &Path {
        match (role, &self.settings.execution) {
            (Role::Execution, Execution::EthereumJs { node_js, .. }) => node_js,
            _ => &self.program,
        }
    }

    pub(super) fn arguments(&self, (node, role): Key) -> Vec<String> {
        match role {
            Role::Execution => match &self.settings.execution {
                Execution::EthereumJs { program, .. } => self.ethereumjs_arguments(node, program),
                Execution::Mock | Execution::Running(_) => Vec::new(),
            },
            Role::Beacon => self.beacon_arguments(node),
            Role::Client => self.client_arguments(node),
        }
    }

    /// The command line of a process, as one would type it.
    pub(crate) fn command_line(&self, key: Key) -> String {
        let program = self.program(key);
        let mut line = program.file_name().map_or_else(
            || program.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        );
        for argument in self.arguments(key) {
            line.push(' ');
            line.push_str(&shell_word(&argument));
        }
        line
    }
}

/// A word as a shell reads it.
fn shell_word(text: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_=./:,@+".contains(character);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_typed() {
        assert_eq!(shell_word("--port=9000"), "--port=9000");
        assert_eq!(shell_word("--datadir=/a b"), "'--datadir=/a b'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
    }
}
