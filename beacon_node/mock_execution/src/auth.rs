//! JWT check of the Engine API: HS256, and an `iat` within a minute of now.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// How far `iat` may be from this machine's clock, in seconds.
const MAX_DRIFT: u64 = 60;

#[derive(Deserialize)]
struct Claims {
    iat: u64,
}

pub(crate) struct Authenticator {
    key: DecodingKey,
    validation: Validation,
}

impl Authenticator {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.required_spec_claims = HashSet::new();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self {
            key: DecodingKey::from_secret(secret),
            validation,
        }
    }

    /// Checks the value of an `Authorization` header. The error is told to the caller.
    pub(crate) fn check(&self, header: Option<&str>) -> Result<(), String> {
        let header = header.ok_or("missing token")?;
        let token = header.strip_prefix("Bearer ").ok_or("the scheme is not Bearer")?;
        let claims = decode::<Claims>(token, &self.key, &self.validation)
            .map_err(|error| format!("invalid token: {error}"))?
            .claims;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|_| "this machine's clock is before 1970")?
            .as_secs();
        if claims.iat.abs_diff(now) > MAX_DRIFT {
            return Err(format!("stale token: issued at {}, now {now}", claims.iat));
        }
        Ok(())
    }
}
