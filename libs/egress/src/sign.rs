//! Signatures as Standard Webhooks says (<https://www.standardwebhooks.com>).

use secrecy::{ExposeSecret, SecretString};
use standardwebhooks::Webhook;

/// It is not `whsec_` and base64 of 24 to 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret is whsec_ and the base64 of 24 to 64 bytes")]
pub struct BadSecret;

/// The secrets that a receiver may know a call by: all that are valid now, so that one can take the other's place.
#[derive(Default)]
pub struct Signers(Vec<Webhook>);

impl Signers {
    pub fn new(secrets: &[SecretString]) -> Result<Self, BadSecret> {
        let read = |secret: &SecretString| {
            let secret = secret.expose_secret();
            // Standard Webhooks wants 24 to 64 bytes: 32 to 88 characters of base64.
            match secret.strip_prefix("whsec_") {
                Some(encoded) if (32..=88).contains(&encoded.len()) => {
                    Webhook::new(secret).map_err(|_| BadSecret)
                }
                _ => Err(BadSecret),
            }
        };
        Ok(Self(secrets.iter().map(read).collect::<Result<_, _>>()?))
    }

    /// `webhook-signature`; `None` without a secret.
    pub(crate) fn sign(&self, id: &str, timestamp: i64, body: &str) -> Option<String> {
        let one = |by: &Webhook| by.sign(id, timestamp, body.as_bytes()).ok();
        let all: Vec<_> = self.0.iter().filter_map(one).collect();
        (!all.is_empty()).then(|| all.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signers(secrets: &[&str]) -> Result<Signers, BadSecret> {
        let secrets: Vec<SecretString> = secrets.iter().map(|s| (*s).into()).collect();
        Signers::new(&secrets)
    }

    /// The example of Standard Webhooks' own documents and libraries.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let known = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let body = r#"{"test": 2432232314}"#;
        let signed = |secrets: &[&str]| {
            signers(secrets)
                .unwrap()
                .sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
        };
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed(&[known]).as_deref(), Some(expected));
        let both = signed(&[known, other]).unwrap();
        assert_eq!(both.split(' ').count(), 2);
        assert!(both.starts_with(expected));
        assert_eq!(signed(&[]), None);
    }

    #[test]
    fn other_secrets_are_refused() {
        for bad in [
            "",
            "whsec_",
            "whsec_c2hvcnQ=",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_not base64 at all not base64 at",
        ] {
            assert!(signers(&[bad]).is_err(), "{bad}");
        }
    }
}
