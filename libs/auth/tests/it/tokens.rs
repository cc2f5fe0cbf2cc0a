use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use ccm_auth::{Bearer, JwtConfig, JwtKey, Role, TokenError, TokenIssuer, TokenKeyError, TokenVerifier, Via};
use ccm_model::{Clock, IdSource, TenantId};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;
use time::OffsetDateTime;

const NOW: i64 = 1_760_000_000;
const HOUR: Duration = Duration::from_secs(3600);
const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

fn at(seconds: i64) -> Clock {
    Clock::fixed(OffsetDateTime::from_unix_timestamp(seconds).unwrap())
}

fn config(key: JwtKey) -> JwtConfig {
    JwtConfig {
        issuer: "ccm".to_owned(),
        audience: "ccm-admin".to_owned(),
        leeway: Duration::from_secs(30),
        key,
    }
}

fn hs256() -> JwtConfig {
    config(JwtKey::Hs256(SECRET.to_vec().into()))
}

fn ed25519() -> JwtConfig {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    config(JwtKey::Ed25519 {
        public_pem: pair.public_key_pem(),
        private_pem: Some(pair.serialize_pem().into()),
    })
}

fn verify_at(config: &JwtConfig, now: i64, token: &str) -> Result<Bearer, TokenError> {
    TokenVerifier::new(config, at(now)).unwrap().verify(token)
}

fn issue(config: &JwtConfig, role: Role, tenant: Option<TenantId>) -> String {
    let issuer = TokenIssuer::new(config, at(NOW)).unwrap();
    issuer.issue("alice", role, tenant, HOUR).unwrap()
}

fn tenant() -> TenantId {
    IdSource::new(at(NOW), 1).next()
}

/// Signs any header and claims, as an attacker with or without the secret would.
fn forge(header: Value, claims: Value, secret: &[u8]) -> String {
    use aws_lc_rs::hmac;
    let part = |v: &Value| BASE64.encode(v.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", BASE64.encode(tag))
}

fn good_claims() -> Value {
    json!({"iss": "ccm", "aud": "ccm-admin", "sub": "alice", "iat": NOW, "exp": NOW + 3600, "role": "engineer"})
}

fn with(changes: Value) -> Value {
    let mut claims = good_claims();
    for (key, value) in changes.as_object().unwrap() {
        claims[key] = value.clone();
    }
    claims
}

#[test]
fn a_token_says_who_its_bearer_is() {
    for config in [hs256(), ed25519()] {
        let claims = verify_at(&config, NOW + 60, &issue(&config, Role::Engineer, None)).unwrap();
        assert_eq!(
            (claims.sub.as_str(), claims.role, claims.tenant),
            ("alice", Role::Engineer, None)
        );
        assert_eq!((claims.scopes, claims.via), (None, Via::Token));

        let token = issue(&config, Role::TenantAdmin, Some(tenant()));
        let claims = verify_at(&config, NOW, &token).unwrap();
        assert_eq!((claims.role, claims.tenant), (Role::TenantAdmin, Some(tenant())));
    }
}

#[test]
fn it_holds_for_its_time_by_the_given_clock_and_the_leeway() {
    let config = hs256();
    let token = issue(&config, Role::Engineer, None);
    let end = NOW + 3600;
    for (now, expected) in [
        (NOW - 31, Some(TokenError::NotYetValid)),
        (NOW - 30, None),
        (NOW, None),
        (end + 29, None),
        (end + 30, Some(TokenError::Expired)),
        (end + 3600, Some(TokenError::Expired)),
    ] {
        assert_eq!(
            verify_at(&config, now, &token).err(),
            expected,
            "at {}",
            now - NOW
        );
    }
}

#[test]
fn forged_tokens_are_told_apart() {
    let hs = json!({"alg": "HS256", "typ": "JWT"});
    let config = hs256();
    let cases = [
        ("as it should be", forge(hs.clone(), good_claims(), SECRET), None),
        (
            "another secret",
            forge(hs.clone(), good_claims(), b"guessed"),
            Some(TokenError::Signature),
        ),
        (
            "alg none",
            forge(json!({"alg": "none"}), good_claims(), SECRET),
            Some(TokenError::Malformed),
        ),
        (
            "alg HS512",
            forge(json!({"alg": "HS512"}), good_claims(), SECRET),
            Some(TokenError::Algorithm),
        ),
        (
            "alg RS256",
            forge(json!({"alg": "RS256"}), good_claims(), SECRET),
            Some(TokenError::Algorithm),
        ),
        (
            "no alg",
            forge(json!({"typ": "JWT"}), good_claims(), SECRET),
            Some(TokenError::Malformed),
        ),
        (
            "audience",
            forge(hs.clone(), with(json!({"aud": "other"})), SECRET),
            Some(TokenError::Audience),
        ),
        (
            "no audience",
            forge(hs.clone(), with(json!({"aud": null})), SECRET),
            Some(TokenError::Malformed),
        ),
        (
            "issuer",
            forge(hs.clone(), with(json!({"iss": "other"})), SECRET),
            Some(TokenError::Issuer),
        ),
        (
            "no expiry",
            forge(hs.clone(), with(json!({"exp": null})), SECRET),
            Some(TokenError::Malformed),
        ),
        (
            "expiry as text",
            forge(hs.clone(), with(json!({"exp": "never"})), SECRET),
            Some(TokenError::Malformed),
        ),
        (
            "expired",
            forge(hs.clone(), with(json!({"exp": NOW - 31})), SECRET),
            Some(TokenError::Expired),
        ),
        (
            "no role",
            forge(hs.clone(), with(json!({"role": null})), SECRET),
            Some(TokenError::Malformed),
        ),
        (
            "unknown role",
            forge(hs.clone(), with(json!({"role": "root"})), SECRET),
            Some(TokenError::Malformed),
        ),
        (
            "a tenant's role without a tenant",
            forge(hs.clone(), with(json!({"role": "tenant-admin"})), SECRET),
            Some(TokenError::RoleAndTenant),
        ),
        (
            "a platform's role with a tenant",
            forge(hs.clone(), with(json!({"tenant": tenant()})), SECRET),
            Some(TokenError::RoleAndTenant),
        ),
        (
            "too long",
            forge(hs, with(json!({"sub": "x".repeat(5000)})), SECRET),
            Some(TokenError::Malformed),
        ),
        ("empty", String::new(), Some(TokenError::Malformed)),
        ("dots", "..".to_owned(), Some(TokenError::Malformed)),
    ];
    for (what, token, expected) in cases {
        assert_eq!(verify_at(&config, NOW, &token).err(), expected, "{what}");
    }
}

#[test]
fn an_unsigned_token_is_refused() {
    let signed = forge(json!({"alg": "none"}), good_claims(), SECRET);
    let unsigned = &signed[..=signed.rfind('.').unwrap()];
    assert!(verify_at(&hs256(), NOW, unsigned).is_err());
}

/// The public key is public: whoever signs with it as an HS256 secret must not be believed.
#[test]
fn the_public_key_is_not_a_secret() {
    let config = ed25519();
    let JwtKey::Ed25519 { public_pem, .. } = &config.key else {
        unreachable!("made above")
    };
    let token = forge(json!({"alg": "HS256"}), good_claims(), public_pem.as_bytes());
    assert_eq!(verify_at(&config, NOW, &token).err(), Some(TokenError::Algorithm));
    let token = issue(&ed25519(), Role::Engineer, None);
    assert_eq!(
        verify_at(&config, NOW, &token).err(),
        Some(TokenError::Signature),
        "another pair's token"
    );
}

#[test]
fn keys_that_cannot_be_used_are_told_of() {
    let wrong = config(JwtKey::Ed25519 {
        public_pem: "not a key".to_owned(),
        private_pem: None,
    });
    assert!(matches!(
        TokenVerifier::new(&wrong, at(NOW)),
        Err(TokenKeyError::NotEd25519("public"))
    ));
    assert!(matches!(
        TokenIssuer::new(&wrong, at(NOW)),
        Err(TokenKeyError::NoPrivateKey)
    ));
    let issuer = TokenIssuer::new(&hs256(), at(NOW)).unwrap();
    assert_eq!(
        issuer.issue("bob", Role::TenantViewer, None, HOUR),
        Err(TokenError::RoleAndTenant)
    );
}

#[test]
fn debug_shows_no_secret() {
    let printed = format!("{:?} {:?}", hs256(), ed25519());
    assert!(
        !printed.contains("thirty-two") && !printed.contains("97, 32, 115"),
        "{printed}"
    );
    assert!(!printed.contains("PRIVATE KEY"), "{printed}");
}

proptest! {
    /// Even in the last character, where two bits are not part of the signature.
    #[test]
    fn a_tampered_token_is_refused(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        let config = hs256();
        let token = issue(&config, Role::TenantViewer, Some(tenant()));
        let at = at.index(token.len());
        let mut tampered = token.clone();
        tampered.replace_range(at..=at, &to);
        let result = verify_at(&config, NOW, &tampered);
        if tampered != token {
            prop_assert!(result.is_err(), "character {at} became {to}");
        }
    }

    #[test]
    fn nonsense_is_refused_without_a_panic(text in "\\PC{0,200}") {
        prop_assert!(verify_at(&hs256(), NOW, &text).is_err());
    }
}
