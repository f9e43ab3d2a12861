//! How we say who we are to a receiver that asks, beside the signature.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::domain::json::from_text;
use crate::domain::text::{BadText, Text};

/// Something that nobody is shown again. It is serialized to be sealed; `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Credential(String);

impl Credential {
    /// Takes what somebody gave.
    ///
    /// # Errors
    /// When it could not be sent.
    pub fn parse(text: &str) -> Result<Self, BadText> {
        Text::<4096>::parse(text).map(|text| Self(text.to_string()))
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// How we say who we are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// A name and a password in every request (RFC 7617).
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: Credential,
    },
    /// The same token in every request (RFC 6750).
    Bearer {
        /// The token.
        token: Credential,
    },
    /// Tokens that somebody else gives out.
    #[serde(rename = "oauth2")]
    OAuth2(ClientCredentials),
    /// A certificate that the connection is made with.
    Mtls(Identity),
}

/// What tokens are given out for: client credentials (RFC 6749 §4.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    /// Who gives them out.
    #[serde(deserialize_with = "url_of", serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub token_url: Url,
    /// Who we are there.
    pub client_id: String,
    /// Our password there.
    pub client_secret: Credential,
    /// What the tokens are to be good for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Whom they are for. No standard has it; many ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// A certificate and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ClientCertificate")]
pub struct Identity {
    /// The certificate, and those between it and its authority.
    pub certificate: String,
    /// The key.
    pub key: Credential,
}

fn url_of<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    from_text(deserializer, "a url")
}

fn as_text<S: serde::Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(url)
}

/// Why nobody could be asked so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadAuth {
    /// The part at fault.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Auth {
    /// Whether it stands in the header `authorization`.
    pub const fn is_header(&self) -> bool {
        !matches!(self, Self::Mtls(_))
    }

    /// Checks what somebody gave, before it is stored.
    ///
    /// # Errors
    /// When it could not be sent.
    pub fn check(&self) -> Result<(), BadAuth> {
        match self {
            Self::Basic { username, password } => {
                if username.contains(':') {
                    return Err(BadAuth { field: "username", problem: "must not contain a colon" });
                }
                check_text("username", username)?;
                check_text("password", &password.0)
            }
            Self::Bearer { token } => check_visible("token", &token.0),
            Self::OAuth2(ClientCredentials { client_id, client_secret, scope, audience, .. }) => {
                check_text("client_id", client_id)?;
                check_text("client_secret", &client_secret.0)?;
                check_text("scope", scope.as_deref().unwrap_or_default())?;
                check_text("audience", audience.as_deref().unwrap_or_default())
            }
            Self::Mtls(Identity { certificate, key }) => {
                check_pem("certificate", certificate)?;
                // It is shown.
                if certificate.contains("PRIVATE KEY") {
                    return Err(BadAuth { field: "certificate", problem: "must not hold the key as well" });
                }
                check_pem("key", &key.0)
            }
        }
    }
}

/// The longest of what stands in a header, in bytes.
const LONGEST: usize = 4_096;

fn check_text(field: &'static str, text: &str) -> Result<(), BadAuth> {
    let fits = text.len() <= LONGEST && !text.contains(char::is_control);
    let problem = "must be at most 4096 bytes long, without control characters";
    if fits { Ok(()) } else { Err(BadAuth { field, problem }) }
}

fn check_visible(field: &'static str, text: &str) -> Result<(), BadAuth> {
    let fits = (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(()) } else { Err(BadAuth { field, problem: "must be 1 to 4096 visible ASCII characters" }) }
}

fn check_pem(field: &'static str, text: &str) -> Result<(), BadAuth> {
    const LONGEST_PEM: usize = 32 * 1024;
    let fits = text.len() <= LONGEST_PEM && text.contains("-----BEGIN ");
    if fits { Ok(()) } else { Err(BadAuth { field, problem: "must be PEM of at most 32 KiB" }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_sent_is_refused() {
        let long = "a".repeat(4_097);
        for (said, field) in [
            (r#"{"type":"basic","username":"u","password":"p ä"}"#.to_owned(), None),
            (r#"{"type":"basic","username":"","password":""}"#.to_owned(), None),
            (r#"{"type":"basic","username":"u:v","password":"p"}"#.to_owned(), Some("username")),
            (r#"{"type":"basic","username":"u","password":"p\r\nx: y"}"#.to_owned(), Some("password")),
            (format!(r#"{{"type":"basic","username":"u","password":"{long}"}}"#), Some("password")),
            (r#"{"type":"bearer","token":"abc"}"#.to_owned(), None),
            (r#"{"type":"bearer","token":""}"#.to_owned(), Some("token")),
            (r#"{"type":"bearer","token":"a b"}"#.to_owned(), Some("token")),
            (format!(r#"{{"type":"bearer","token":"{long}"}}"#), Some("token")),
            (
                r#"{"type":"oauth2","token_url":"https://a.example/t","client_id":"c","client_secret":"s","scope":"a\nb"}"#
                    .to_owned(),
                Some("scope"),
            ),
            (r#"{"type":"mtls","certificate":"x","key":"-----BEGIN PRIVATE KEY-----"}"#.to_owned(), Some("certificate")),
            (
                r#"{"type":"mtls","certificate":"-----BEGIN PRIVATE KEY-----","key":"-----BEGIN PRIVATE KEY-----"}"#
                    .to_owned(),
                Some("certificate"),
            ),
            (
                r#"{"type":"mtls","certificate":"-----BEGIN CERTIFICATE-----","key":"-----BEGIN PRIVATE KEY-----"}"#
                    .to_owned(),
                None,
            ),
        ] {
            let auth: Auth = serde_json::from_str(&said).unwrap();
            assert_eq!(auth.check().err().map(|bad| bad.field), field, "{said}");
            let sealed = serde_json::to_string(&auth).unwrap();
            assert_eq!(serde_json::from_str::<Auth>(&sealed).unwrap(), auth);
        }
    }

    #[test]
    fn what_is_not_asked_for_is_refused() {
        for wrong in [
            r#"{"type":"digest","username":"u","password":"p"}"#,
            r#"{"type":"basic","username":"u"}"#,
            r#"{"type":"bearer","token":"t","realm":"r"}"#,
            r#"{"type":"oauth2","token_url":"nowhere","client_id":"c","client_secret":"s"}"#,
            r#"{"type":"oauth2","token_url":"https://a.example/t","client_id":"c","client_secret":"s","flow":"x"}"#,
        ] {
            assert!(serde_json::from_str::<Auth>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_credential_is_seen_in_logs() {
        for said in [
            r#"{"type":"basic","username":"u","password":"hunter2"}"#,
            r#"{"type":"bearer","token":"hunter2"}"#,
            r#"{"type":"oauth2","token_url":"https://a.example/t","client_id":"c","client_secret":"hunter2"}"#,
            r#"{"type":"mtls","certificate":"c","key":"hunter2"}"#,
        ] {
            let shown = format!("{:?}", serde_json::from_str::<Auth>(said).unwrap());
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
