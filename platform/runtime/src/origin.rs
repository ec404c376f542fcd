//! Which web pages may read an HTTP server's answers.

use std::str::FromStr;

/// Web pages that may read answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowOrigin {
    /// All: `*`.
    Any,
    /// Those of these origins.
    List(Vec<String>),
}

/// A text names no origins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("origin {0:?}, expected * or a list such as http://localhost:3000,https://example.org")]
pub struct AllowOriginError(String);

impl FromStr for AllowOrigin {
    type Err = AllowOriginError;

    fn from_str(text: &str) -> Result<Self, AllowOriginError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        text.split(',')
            .map(|origin| {
                let origin = origin.trim();
                let rest = origin
                    .strip_prefix("http://")
                    .or_else(|| origin.strip_prefix("https://"))
                    .unwrap_or_default();
                let is_origin = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
                is_origin
                    .then(|| origin.to_owned())
                    .ok_or_else(|| AllowOriginError(origin.chars().take(128).collect()))
            })
            .collect::<Result<_, _>>()
            .map(Self::List)
    }
}

impl AllowOrigin {
    /// What `Access-Control-Allow-Origin` says to a page of an origin; none if it may not read.
    pub fn answer<'a>(&self, origin: &'a str) -> Option<&'a str> {
        match self {
            Self::Any => Some("*"),
            Self::List(origins) => origins.iter().any(|allowed| allowed == origin).then_some(origin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_listed_or_all() {
        let any: AllowOrigin = "*".parse().unwrap();
        assert_eq!(any.answer("http://a"), Some("*"));
        let list: AllowOrigin = "http://localhost:3000, https://example.org".parse().unwrap();
        assert_eq!(list.answer("https://example.org"), Some("https://example.org"));
        assert_eq!(list.answer("https://example.com"), None);
        for wrong in ["", "example.org", "http://", "http://a/path", "http://a,"] {
            assert!(wrong.parse::<AllowOrigin>().is_err(), "{wrong}");
        }
    }
}
