//! Flags of `fresnel beacon_node`: Lighthouse's names and meanings.

use crate::NodeError;
use clap::Args;
use http_api::ApiSettings;
use network::{BootNode, Multiaddr, NetworkConfig, PeerId};
use router::SyncPolicy;
use runtime::AllowOrigin;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use types::{ChainSpec, ExecutionAddress, Preset};

/// Runs a beacon node.
#[derive(Debug, Clone, Args)]
pub struct BeaconNodeArgs {
    /// Address to listen on for peers.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0", help_heading = "Network")]
    pub listen_address: IpAddr,
    /// TCP port for libp2p and UDP port for discovery.
    #[arg(long, value_name = "PORT", default_value_t = 9000, help_heading = "Network")]
    pub port: u16,
    /// UDP port for discovery [default: the value of --port].
    #[arg(long, value_name = "PORT", help_heading = "Network")]
    pub discovery_port: Option<u16>,
    /// UDP port for QUIC [default: the value of --port + 1].
    #[arg(long, value_name = "PORT", help_heading = "Network")]
    pub quic_port: Option<u16>,
    /// Neither listen for QUIC nor dial by it.
    #[arg(long, help_heading = "Network")]
    pub disable_quic: bool,
    /// Records (ENR) or multiaddresses of nodes to begin discovery with, separated by commas.
    #[arg(long, value_name = "ENR/MULTIADDR", value_delimiter = ',', help_heading = "Network")]
    pub boot_nodes: Vec<String>,
    /// Multiaddresses of peers to connect to, separated by commas.
    #[arg(long, value_name = "MULTIADDR", value_delimiter = ',', help_heading = "Network")]
    pub libp2p_addresses: Vec<Multiaddr>,
    /// Peers that are never scored and never disconnected, separated by commas.
    #[arg(long, value_name = "PEER_ID", value_delimiter = ',', help_heading = "Network")]
    pub trusted_peers: Vec<PeerId>,
    /// Number of peers to keep. 0 for a network of one node: then no peer is needed to be ready.
    #[arg(long, value_name = "COUNT", default_value_t = 100, help_heading = "Network")]
    pub target_peers: usize,
    /// IP address in the node's record.
    #[arg(long, value_name = "ADDRESS", help_heading = "Network")]
    pub enr_address: Option<IpAddr>,
    /// TCP port in the node's record.
    #[arg(long, value_name = "PORT", help_heading = "Network")]
    pub enr_tcp_port: Option<u16>,
    /// UDP port in the node's record.
    #[arg(long, value_name = "PORT", help_heading = "Network")]
    pub enr_udp_port: Option<u16>,
    /// QUIC port in the node's record.
    #[arg(long, value_name = "PORT", help_heading = "Network")]
    pub enr_quic_port: Option<u16>,
    /// The node's record is not corrected by what peers see.
    #[arg(long, short = 'x', help_heading = "Network")]
    pub disable_enr_auto_update: bool,
    /// Discovery does not limit requests by address.
    #[arg(long, help_heading = "Network")]
    pub disable_packet_filter: bool,
    /// No discovery: only configured peers.
    #[arg(long, help_heading = "Network")]
    pub disable_discovery: bool,
    /// Private addresses are dialled.
    #[arg(long, help_heading = "Network")]
    pub enable_private_discovery: bool,
    /// Accepted; peers are scored as ever.
    #[arg(long, help_heading = "Network")]
    pub disable_peer_scoring: bool,
    /// Follow all subnets of attestations and sync committees.
    #[arg(long, help_heading = "Network")]
    pub subscribe_all_subnets: bool,
    /// Keep all data columns.
    #[arg(long, alias = "subscribe-all-data-column-subnets", help_heading = "Network")]
    pub supernode: bool,

    /// Serve the Beacon API.
    #[arg(long, help_heading = "HTTP API")]
    pub http: bool,
    /// Address of the Beacon API.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", help_heading = "HTTP API")]
    pub http_address: IpAddr,
    /// Port of the Beacon API.
    #[arg(long, value_name = "PORT", default_value_t = 5052, help_heading = "HTTP API")]
    pub http_port: u16,
    /// Origins of web pages that may read answers: * or a list.
    #[arg(long, value_name = "ORIGIN", help_heading = "HTTP API")]
    pub http_allow_origin: Option<AllowOrigin>,
    /// Serve the endpoint by which a devnet cuts and delays connections. Never on a real network.
    #[arg(long, help_heading = "HTTP API")]
    pub http_enable_fault_injection: bool,

    /// Serve metrics for Prometheus.
    #[arg(long, help_heading = "Metrics")]
    pub metrics: bool,
    /// Address of the metrics server.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", help_heading = "Metrics")]
    pub metrics_address: IpAddr,
    /// Port of the metrics server.
    #[arg(long, value_name = "PORT", default_value_t = 5054, help_heading = "Metrics")]
    pub metrics_port: u16,
    /// Origins of web pages that may read metrics.
    #[arg(long, value_name = "ORIGIN", help_heading = "Metrics")]
    pub metrics_allow_origin: Option<String>,

    /// URL of the execution client's Engine API. Without one, nothing is verified and the node does no duties.
    #[arg(
        long,
        alias = "execution-endpoints",
        value_name = "URL",
        help_heading = "Execution client"
    )]
    pub execution_endpoint: Option<String>,
    /// File with the secret that is shared with the execution client.
    #[arg(
        long,
        aliases = ["jwt-secrets", "jwt-secret"],
        value_name = "FILE",
        requires = "execution_endpoint",
        help_heading = "Execution client"
    )]
    pub execution_jwt: Option<PathBuf>,
    /// The secret itself, in hex.
    #[arg(
        long,
        alias = "jwt-secret-key",
        value_name = "HEX",
        conflicts_with = "execution_jwt",
        requires = "execution_endpoint",
        help_heading = "Execution client"
    )]
    pub execution_jwt_secret_key: Option<String>,
    /// `id` in the tokens.
    #[arg(long, alias = "jwt-id", value_name = "ID", help_heading = "Execution client")]
    pub execution_jwt_id: Option<String>,
    /// `clv` in the tokens.
    #[arg(
        long,
        alias = "jwt-version",
        value_name = "VERSION",
        help_heading = "Execution client"
    )]
    pub execution_jwt_version: Option<String>,
    /// How much longer than usual the execution client may take.
    #[arg(long, value_name = "FACTOR", default_value_t = 1, help_heading = "Execution client")]
    pub execution_timeout_multiplier: u32,
    /// Who gets the fees of blocks whose proposer's client names nobody.
    #[arg(long, value_name = "ADDRESS", help_heading = "Execution client")]
    pub suggested_fee_recipient: Option<ExecutionAddress>,
    /// Accepted; blocks are built by the execution client.
    #[arg(long, value_name = "URL", help_heading = "Execution client")]
    pub builder: Option<String>,
    /// Accepted; payloads are prepared for attached validators.
    #[arg(long, help_heading = "Execution client")]
    pub always_prepare_payload: bool,
    /// How long ahead of a slot payloads are begun, in milliseconds [default: a third of a slot].
    #[arg(long, value_name = "MILLISECONDS", help_heading = "Execution client")]
    pub prepare_payload_lookahead: Option<u64>,

    /// Begin with the finalised state of the node at this URL.
    #[arg(long, value_name = "URL", help_heading = "Chain")]
    pub checkpoint_sync_url: Option<String>,
    /// How long that node is given to answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 180, help_heading = "Chain")]
    pub checkpoint_sync_url_timeout: u64,
    /// Begin at genesis, however long ago it was. So it is without this flag, too, if there is no --checkpoint-sync-url.
    #[arg(long, help_heading = "Chain")]
    pub allow_insecure_genesis_sync: bool,
    /// How many epochs a head may be behind the clock before peers are needed to be ready [default: 8 slots]. For tests.
    #[arg(long, value_name = "EPOCHS", help_heading = "Chain")]
    pub sync_tolerance_epochs: Option<u64>,
    /// Delete the database and begin anew.
    #[arg(long, help_heading = "Chain")]
    pub purge_db: bool,
    /// Fetch blocks from before a checkpoint down to the genesis, beyond what every node keeps.
    #[arg(long, help_heading = "Chain")]
    pub genesis_backfill: bool,
    /// Whether columns that nobody may ask for any more are deleted.
    #[arg(
        long,
        value_name = "BOOLEAN",
        default_value_t = true,
        action = clap::ArgAction::Set,
        help_heading = "Chain"
    )]
    pub prune_blobs: bool,
    /// How many epochs longer than they have to be columns are kept.
    #[arg(long, value_name = "EPOCHS", default_value_t = 0, help_heading = "Chain")]
    pub blob_prune_margin_epochs: u64,

    /// Accepted; there is no telemetry.
    #[arg(long, value_name = "URL", help_heading = "Without effect")]
    pub telemetry_collector_url: Option<String>,
    /// Accepted; there is no telemetry.
    #[arg(long, value_name = "NAME", help_heading = "Without effect")]
    pub telemetry_service_name: Option<String>,
}

impl BeaconNodeArgs {
    /// One line for each flag that is accepted and does nothing.
    pub(crate) fn without_effect(&self) -> Vec<&'static str> {
        let mut lines = Vec::new();
        let mut note = |is_set: bool, line| {
            if is_set {
                lines.push(line);
            }
        };
        note(
            self.builder.is_some(),
            "--builder has no effect: blocks are built by the execution client",
        );
        note(
            self.always_prepare_payload,
            "--always-prepare-payload has no effect: payloads are prepared for attached validators",
        );
        note(
            self.disable_peer_scoring,
            "--disable-peer-scoring has no effect: peers are scored",
        );
        note(
            self.telemetry_collector_url.is_some() || self.telemetry_service_name.is_some(),
            "--telemetry-collector-url and --telemetry-service-name have no effect: there is no telemetry",
        );
        lines
    }

    /// Settings of the network. `configured` are the boot nodes of the network's files, used if no flag names any.
    pub(crate) fn network_config<P: Preset>(
        &self,
        datadir: &std::path::Path,
        configured: Vec<BootNode>,
        spec: &ChainSpec,
    ) -> Result<NetworkConfig, NodeError> {
        let mut boot_nodes = configured;
        if !self.boot_nodes.is_empty() {
            boot_nodes = self
                .boot_nodes
                .iter()
                .filter(|text| !text.is_empty())
                .map(|text| {
                    text.trim()
                        .parse()
                        .map_err(|error: network::BootNodeError| NodeError::Flag {
                            flag: "boot-nodes",
                            reason: error.to_string(),
                        })
                })
                .collect::<Result<_, _>>()?;
        }
        boot_nodes.extend(self.libp2p_addresses.iter().cloned().map(BootNode::Multiaddr));
        let slot_duration = Duration::from_millis(spec.slot_duration_ms);
        let epoch = slot_duration.saturating_mul(u32::try_from(P::slots_per_epoch()).unwrap_or(32));
        let defaults = NetworkConfig::new(datadir.join("beacon").join("network"));
        Ok(NetworkConfig {
            listen_address: self.listen_address,
            port: self.port,
            discovery_port: self.discovery_port,
            quic_port: self.quic_port,
            disable_quic: self.disable_quic,
            enr_address: self.enr_address,
            enr_tcp_port: self.enr_tcp_port,
            enr_udp_port: self.enr_udp_port,
            enr_quic_port: self.enr_quic_port,
            disable_enr_auto_update: self.disable_enr_auto_update,
            boot_nodes,
            target_peers: self.target_peers,
            enable_private_discovery: self.enable_private_discovery,
            disable_packet_filter: self.disable_packet_filter,
            disable_discovery: self.disable_discovery,
            trusted_peers: self.trusted_peers.clone(),
            subscribe_all_subnets: self.subscribe_all_subnets,
            custody_group_count: self.custody_group_count(spec),
            spec: Arc::new(spec.clone()),
            slot_duration,
            slots_per_epoch: P::slots_per_epoch(),
            // On a network of short slots, peers hear of each other's heads at least once per epoch.
            status_interval: defaults.status_interval.min(epoch),
            ..defaults
        })
    }

    /// When an old head is good enough for duties.
    pub(crate) fn sync_policy<P: Preset>(&self) -> SyncPolicy {
        let defaults = SyncPolicy::default();
        SyncPolicy {
            tolerance_slots: self.sync_tolerance_epochs.map_or(defaults.tolerance_slots, |epochs| {
                epochs.saturating_mul(P::slots_per_epoch())
            }),
            may_be_alone: self.target_peers == 0,
        }
    }

    pub(crate) fn custody_group_count(&self, spec: &ChainSpec) -> u64 {
        if self.supernode {
            spec.number_of_custody_groups
        } else {
            spec.custody_requirement
        }
    }

    pub(crate) fn api_settings(&self) -> ApiSettings {
        ApiSettings {
            allow_origin: self.http_allow_origin.clone(),
            enable_fault_injection: self.http_enable_fault_injection,
            ..ApiSettings::default()
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser};

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: BeaconNodeArgs,
    }

    /// The flags after `bn`.
    pub(crate) fn parse(flags: &str) -> Result<BeaconNodeArgs, clap::Error> {
        let words = std::iter::once("bn").chain(flags.split_whitespace());
        Command::try_parse_from(words).map(|command| command.args)
    }

    #[test]
    fn flags_are_well_formed() {
        Command::command().debug_assert();
    }

    #[test]
    fn the_command_line_of_ethereum_package_is_understood() {
        let flags = "--listen-address=0.0.0.0 --port=9000 --http --http-address=0.0.0.0 --http-port=4000 \
            --disable-packet-filter --disable-enr-auto-update --enr-address=172.16.0.10 --enr-tcp-port=9000 \
            --enr-udp-port=9000 --enr-quic-port=9001 --quic-port=9001 --metrics --metrics-address=0.0.0.0 \
            --metrics-allow-origin=* --metrics-port=5054 --enable-private-discovery \
            --execution-endpoints=http://el-1-geth-lighthouse:8551 --jwt-secrets=/jwt/jwtsecret \
            --suggested-fee-recipient=0x8943545177806ED17B9F23F0a21ee5948eCaa776 --supernode \
            --allow-insecure-genesis-sync --target-peers=0 --prepare-payload-lookahead 8000 --disable-peer-scoring";
        let args = parse(flags).unwrap();
        assert_eq!(
            (args.http_port, args.quic_port, args.target_peers),
            (4000, Some(9001), 0)
        );
        assert_eq!(
            args.execution_endpoint.as_deref(),
            Some("http://el-1-geth-lighthouse:8551")
        );
        assert_eq!(args.execution_jwt, Some(PathBuf::from("/jwt/jwtsecret")));
        assert_eq!(args.without_effect().len(), 1);
    }

    #[test]
    fn columns_are_pruned_unless_a_flag_says_no() {
        let pruned = |flags: &str| parse(flags).map(|args| args.prune_blobs);
        assert_eq!(
            (pruned("").unwrap(), pruned("--prune-blobs=false").unwrap()),
            (true, false)
        );
        assert!(pruned("--prune-blobs").is_err(), "as Lighthouse has it");
        assert_eq!(
            parse("--blob-prune-margin-epochs 7").unwrap().blob_prune_margin_epochs,
            7
        );
    }

    #[test]
    fn a_node_needs_peers_unless_it_is_to_have_none() {
        let policy = |flags: &str| parse(flags).unwrap().sync_policy::<types::Minimal>();
        assert_eq!(policy(""), SyncPolicy::default());
        assert!(!policy("--disable-discovery").may_be_alone);
        assert!(policy("--target-peers 0").may_be_alone);
        assert_eq!(policy("--sync-tolerance-epochs 3").tolerance_slots, 24);
    }

    /// By the help: a flag that does nothing says so there, and once more when the program starts.
    #[test]
    fn flags_that_are_accepted_only_are_named_at_the_start() {
        let command = Command::command();
        let flags: Vec<&clap::Arg> = command
            .get_arguments()
            .filter(|flag| {
                flag.get_help()
                    .is_some_and(|help| help.to_string().starts_with("Accepted"))
            })
            .collect();
        assert!(flags.len() >= 5);
        for flag in flags {
            assert!(!flag.is_hide_set());
            let long = format!("--{}", flag.get_long().unwrap());
            let mut line = vec!["bn".to_owned(), long.clone()];
            if flag.get_action().takes_values() {
                let name = flag.get_value_names().unwrap()[0].as_str();
                line.push(if name == "ADDRESS" { "127.0.0.1" } else { "1" }.to_owned());
            }
            let args = Command::try_parse_from(line).unwrap().args;
            assert_eq!(args.without_effect().len(), 1, "{long}");
        }
    }

    #[test]
    fn an_unknown_flag_is_an_error_that_names_the_nearest() {
        let error = parse("--http-prot=4000").unwrap_err().to_string();
        assert!(error.contains("--http-port"), "{error}");
    }
}
