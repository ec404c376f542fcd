//! Flags of `fresnel validator_client`: Lighthouse's names and meanings.

use clap::Args;
use runtime::AllowOrigin;
use std::net::IpAddr;
use std::path::PathBuf;
use types::ExecutionAddress;

/// Runs a validator client.
#[derive(Debug, Clone, Args)]
pub struct ValidatorClientArgs {
    /// URLs of beacon nodes, in order of preference, separated by commas.
    #[arg(
        long,
        value_name = "URL",
        value_delimiter = ',',
        default_value = "http://localhost:5052"
    )]
    pub beacon_nodes: Vec<String>,
    /// Directory of keystores [default: <datadir>/validators].
    #[arg(long, value_name = "DIR")]
    pub validators_dir: Option<PathBuf>,
    /// Directory of the keystores' passwords [default: <datadir>/secrets].
    #[arg(long, value_name = "DIR")]
    pub secrets_dir: Option<PathBuf>,
    /// Make a slashing protection database if there is none.
    #[arg(long)]
    pub init_slashing_protection: bool,
    /// Do not search the directory for new keystores.
    #[arg(long)]
    pub disable_auto_discover: bool,
    /// Who gets the fees of blocks whose validator names nobody.
    #[arg(long, value_name = "ADDRESS")]
    pub suggested_fee_recipient: Option<ExecutionAddress>,
    /// Graffiti of blocks whose validator has none of its own: at most 32 bytes.
    #[arg(long, value_name = "TEXT")]
    pub graffiti: Option<String>,

    /// Serve metrics for Prometheus.
    #[arg(long, help_heading = "Metrics")]
    pub metrics: bool,
    /// Address of the metrics server.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", help_heading = "Metrics")]
    pub metrics_address: IpAddr,
    /// Port of the metrics server.
    #[arg(long, value_name = "PORT", default_value_t = 5064, help_heading = "Metrics")]
    pub metrics_port: u16,
    /// Origins of web pages that may read metrics.
    #[arg(long, value_name = "ORIGIN", help_heading = "Metrics")]
    pub metrics_allow_origin: Option<String>,

    /// Serve the keymanager API, by which keys are imported, deleted and changed while the client runs.
    #[arg(long, help_heading = "Keymanager API")]
    pub http: bool,
    /// Address of the keymanager API. Another machine's requests and their secrets are not encrypted, so that any
    /// address but a loopback one needs --unencrypted-http-transport.
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1",
        requires = "http",
        help_heading = "Keymanager API"
    )]
    pub http_address: IpAddr,
    /// Port of the keymanager API.
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 5062,
        requires = "http",
        help_heading = "Keymanager API"
    )]
    pub http_port: u16,
    /// Origins of web pages that may use the keymanager API, separated by commas, or *.
    #[arg(long, value_name = "ORIGIN", requires = "http", help_heading = "Keymanager API")]
    pub http_allow_origin: Option<AllowOrigin>,
    /// File of the token that callers have to show; made if it is missing [default: <validators-dir>/api-token.txt].
    #[arg(long, value_name = "FILE", requires = "http", help_heading = "Keymanager API")]
    pub http_token_path: Option<PathBuf>,
    /// The connection is kept from others by other means.
    #[arg(long, requires = "http", help_heading = "Keymanager API")]
    pub unencrypted_http_transport: bool,
    /// Accepted; no builder is asked for blocks.
    #[arg(long, help_heading = "Without effect")]
    pub builder_proposals: bool,
    /// Accepted; no builder is asked for blocks.
    #[arg(long, value_name = "GAS", help_heading = "Without effect")]
    pub gas_limit: Option<u64>,
    /// Accepted; there is no telemetry.
    #[arg(long, value_name = "URL", help_heading = "Without effect")]
    pub telemetry_collector_url: Option<String>,
    /// Accepted; there is no telemetry.
    #[arg(long, value_name = "NAME", help_heading = "Without effect")]
    pub telemetry_service_name: Option<String>,
}

impl ValidatorClientArgs {
    /// One line for each flag that is accepted and does nothing.
    pub(crate) fn without_effect(&self) -> Vec<&'static str> {
        let mut lines = Vec::new();
        if self.builder_proposals || self.gas_limit.is_some() {
            lines.push("--builder-proposals and --gas-limit have no effect: no builder is asked for blocks");
        }
        if self.telemetry_collector_url.is_some() || self.telemetry_service_name.is_some() {
            lines.push("--telemetry-collector-url and --telemetry-service-name have no effect: there is no telemetry");
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser};

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: ValidatorClientArgs,
    }

    #[test]
    fn flags_are_well_formed() {
        Command::command().debug_assert();
    }

    #[test]
    fn the_command_line_of_ethereum_package_is_understood() {
        let line = "vc --validators-dir=/validator-keys/keys --secrets-dir=/validator-keys/secrets \
            --init-slashing-protection --beacon-nodes=http://cl-1:4000,http://cl-2:4000 \
            --suggested-fee-recipient=0x8943545177806ED17B9F23F0a21ee5948eCaa776 --metrics \
            --metrics-address=0.0.0.0 --metrics-allow-origin=* --metrics-port=8080 --gas-limit=200000000 \
            --builder-proposals --http --http-port=5056 --http-address=0.0.0.0 --http-allow-origin=* \
            --unencrypted-http-transport";
        let args = Command::try_parse_from(line.split_whitespace()).unwrap().args;
        assert_eq!(args.beacon_nodes, ["http://cl-1:4000", "http://cl-2:4000"]);
        assert_eq!((args.metrics_port, args.without_effect().len()), (8080, 1));
        assert_eq!((args.http, args.http_port), (true, 5056));
        assert_eq!(args.http_allow_origin, Some(AllowOrigin::Any));
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
        assert!(flags.len() >= 4);
        for flag in flags {
            assert!(!flag.is_hide_set());
            let long = format!("--{}", flag.get_long().unwrap());
            let mut line = vec!["vc".to_owned(), long.clone()];
            if flag.get_action().takes_values() {
                line.push("1".to_owned());
            }
            let args = Command::try_parse_from(line).unwrap().args;
            assert_eq!(args.without_effect().len(), 1, "{long}");
        }
    }

    #[test]
    fn an_unknown_flag_is_an_error_that_names_the_nearest() {
        let error = Command::try_parse_from(["vc", "--beacon-node=x"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("--beacon-nodes"), "{error}");
    }
}
