//! `fresnel make-xmss-key`: a key for one place in a group's key set.

use clap::Args;
use keystore::{Kdf, ValidatorsDir, XmssSeed, account};
use slashing_protection::{DATABASE_FILE, SlashingDatabase};
use std::path::{Path, PathBuf};
use types::constants::{LEAVES_PER_EPOCH, XMSS_SCHEME};

/// Flags of `fresnel make-xmss-key`.
#[derive(Debug, Args)]
pub(crate) struct MakeXmssKeyArgs {
    /// Directory of keystores [default: <datadir>/validators].
    #[arg(long, value_name = "DIR")]
    validators_dir: Option<PathBuf>,
    /// Directory of the keystores' passwords [default: <datadir>/secrets].
    #[arg(long, value_name = "DIR")]
    secrets_dir: Option<PathBuf>,
    /// 1: lifetime 2^32; 2: lifetime 2^18, for networks of the minimal preset.
    #[arg(long, value_name = "NUMBER", default_value_t = XMSS_SCHEME)]
    scheme: u8,
    /// First epoch in which the key signs.
    #[arg(long, value_name = "EPOCH")]
    first_epoch: u64,
    /// Epochs for which it signs, widened to whole trees of 1024 epochs, or 8 of scheme 2. A new key takes its place
    /// afterwards. Each epoch takes about 30 ms to compute.
    #[arg(long, value_name = "EPOCHS")]
    epochs: u64,
    /// Make a slashing protection database if there is none.
    #[arg(long)]
    init_slashing_protection: bool,
    /// Encrypt with a key derivation of no strength, for a devnet whose passwords lie beside the keys.
    #[arg(long, hide = true)]
    insecure_kdf: bool,
}

/// Makes a key of random bytes. Takes as long as computing its leaves.
pub(crate) fn run(args: &MakeXmssKeyArgs, datadir: &Path) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let or_default = |dir: &Option<PathBuf>, name| dir.clone().unwrap_or_else(|| datadir.join(name));
    let first = args.first_epoch.saturating_mul(LEAVES_PER_EPOCH);
    let end = first.saturating_add(args.epochs.saturating_mul(LEAVES_PER_EPOCH));
    let dir = ValidatorsDir::open(
        &or_default(&args.validators_dir, "validators"),
        &or_default(&args.secrets_dir, "secrets"),
    )
    .map_err(|error| text(&error))?;
    // Before the work, because a database that cannot be used makes it worthless.
    let path = dir.path().join(DATABASE_FILE);
    let database = if args.init_slashing_protection {
        SlashingDatabase::open_or_create(&path)
    } else {
        SlashingDatabase::open(&path)
    };
    let database = database.map_err(|error| text(&error))?;
    let seed = XmssSeed::new(rand::random());
    let kdf = if args.insecure_kdf {
        Kdf::insecure()
    } else {
        Kdf::strong()
    };
    let definition = account::add_xmss_key(&dir, args.scheme, &seed, first..end, kdf).map_err(|error| text(&error))?;
    let pubkey = definition.voting_public_key;
    // It is new, and will be known to be new: a key that is not on record begins only after a margin.
    database
        .register_one_time_key(&pubkey, first)
        .map_err(|error| text(&error))?;
    println!("{pubkey}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(dir: &Path, scheme: u8, init: bool) -> MakeXmssKeyArgs {
        MakeXmssKeyArgs {
            validators_dir: Some(dir.join("v")),
            secrets_dir: None,
            scheme,
            first_epoch: 8,
            epochs: 1,
            init_slashing_protection: init,
            insecure_kdf: true,
        }
    }

    #[test]
    fn new_key_is_in_the_directory_and_on_record() {
        let dir = tempfile::tempdir().unwrap();
        let error = run(&args(dir.path(), 2, false), dir.path()).unwrap_err();
        assert!(error.contains("--init-slashing-protection"), "{error}");
        run(&args(dir.path(), 2, true), dir.path()).unwrap();
        run(&args(dir.path(), 2, false), dir.path()).unwrap();

        let validators = ValidatorsDir::open(&dir.path().join("v"), &dir.path().join("secrets")).unwrap();
        let definitions = validators.definitions().unwrap();
        assert_eq!(definitions.as_slice().len(), 2, "two seeds");
        assert_eq!(validators.unlock_enabled(&definitions).filter(Result::is_ok).count(), 2);
        let database = SlashingDatabase::open(&dir.path().join("v").join(DATABASE_FILE)).unwrap();
        for definition in definitions.as_slice() {
            let first_open = database.first_open_leaf(&definition.voting_public_key).unwrap();
            assert_eq!(first_open, Some(8 * LEAVES_PER_EPOCH));
        }
    }

    #[test]
    fn scheme_that_is_not_of_xmss_is_refused_before_any_work() {
        let dir = tempfile::tempdir().unwrap();
        let error = run(&args(dir.path(), 0, true), dir.path()).unwrap_err();
        assert!(error.contains("scheme 0 is not one of XMSS"), "{error}");
    }
}
