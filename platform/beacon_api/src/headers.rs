//! Names of headers and media types.

/// Fork of a body, in lower case.
pub const CONSENSUS_VERSION_HEADER: &str = "Eth-Consensus-Version";
/// Whether a produced block is blinded: `true` or `false`.
pub const BLINDED_HEADER: &str = "Eth-Execution-Payload-Blinded";
/// What the payload of a produced block pays its proposer, in Wei.
pub const PAYLOAD_VALUE_HEADER: &str = "Eth-Execution-Payload-Value";
/// What the consensus layer pays the proposer of a produced block, in Wei.
pub const BLOCK_VALUE_HEADER: &str = "Eth-Consensus-Block-Value";
/// Media type of JSON.
pub const JSON: &str = "application/json";
/// Media type of SSZ.
pub const SSZ: &str = "application/octet-stream";

/// Whether a client that sends this `Accept` header would rather have SSZ than JSON.
pub fn accepts_ssz(accept: &str) -> bool {
    quality(accept, SSZ) > quality(accept, JSON)
}

/// Weight of a media type in an `Accept` header, in thousandths; 0 if it is not named.
fn quality(accept: &str, media_type: &str) -> u32 {
    accept
        .split(',')
        .filter_map(|entry| {
            let mut parts = entry.split(';').map(str::trim);
            if !parts.next()?.eq_ignore_ascii_case(media_type) {
                return None;
            }
            let weight = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(Some(1.0), |weight| weight.parse::<f32>().ok())?;
            Some((weight.clamp(0.0, 1.0) * 1000.0) as u32)
        })
        .max()
        .unwrap_or(0)
}

/// Whether a client that sends this `Accept` header takes a media type. One that cannot be read says nothing.
pub fn accepts(accept: &str, media_type: &str) -> bool {
    let (family, _) = media_type.split_once('/').unwrap_or((media_type, ""));
    let mut entries = accept.split(',').filter_map(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let range = parts.next().filter(|range| range.contains('/'))?;
        let is_refused = parts
            .find_map(|part| part.strip_prefix("q="))
            .is_some_and(|weight| weight.parse::<f32>() == Ok(0.0));
        Some((range, is_refused))
    });
    let mut is_empty = true;
    entries.any(|(range, is_refused)| {
        is_empty = false;
        let (range_family, kind) = range.split_once('/').unwrap_or((range, ""));
        let fits = range.eq_ignore_ascii_case(media_type)
            || (kind == "*" && (range_family == "*" || range_family.eq_ignore_ascii_case(family)));
        fits && !is_refused
    }) || is_empty
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssz_is_sent_only_to_those_who_prefer_it() {
        assert!(accepts_ssz("application/octet-stream"));
        assert!(accepts_ssz("application/octet-stream;q=1.0,application/json;q=0.9"));
        assert!(!accepts_ssz("application/json, application/octet-stream;q=0.5"));
        assert!(!accepts_ssz("*/*"));
        assert!(!accepts_ssz(""));
    }

    #[test]
    fn a_media_type_is_taken_by_its_name_its_family_or_in_any_case() {
        for accept in [
            "application/json",
            "text/html, APPLICATION/JSON;q=0.1",
            "application/*",
            "*/*",
            "text/html,*/*;q=0.8",
            "",
            "json",
        ] {
            assert!(accepts(accept, JSON), "{accept}");
        }
        for accept in [
            "application/octet-stream",
            "text/html",
            "text/*",
            "application/json;q=0",
        ] {
            assert!(!accepts(accept, JSON), "{accept}");
        }
    }
}
