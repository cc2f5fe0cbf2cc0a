use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ccm_auth::{Discovery, DiscoveryError, Identity, KeySet, OidcRules, TokenError, issuer_of};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde_json::{Value, json};
use std::time::Duration;

const NOW: i64 = 1_760_000_000;
const ISSUER: &str = "https://login.example.com/realms/ccm";
const RULES: OidcRules<'static> = OidcRules {
    issuer: ISSUER,
    audience: "ccm",
    leeway: Duration::from_secs(30),
};

/// A key pair as an issuer has it.
struct Pair {
    id: &'static str,
    algorithm: Algorithm,
    secret: EncodingKey,
    /// The library makes no JWK of an Ed25519 pair.
    raw: Vec<u8>,
}

impl Pair {
    fn new(id: &'static str, algorithm: Algorithm) -> Self {
        let kind = match algorithm {
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::EdDSA => &rcgen::PKCS_ED25519,
            _ => &rcgen::PKCS_RSA_SHA256,
        };
        let pair = rcgen::KeyPair::generate_for(kind).unwrap();
        let pem = pair.serialize_pem();
        let secret = match algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        Self {
            id,
            algorithm,
            secret: secret.unwrap(),
            raw: rcgen::PublicKeyData::der_bytes(&pair).to_vec(),
        }
    }

    fn jwk(&self) -> Jwk {
        if self.algorithm == Algorithm::EdDSA {
            let x = BASE64_URL_SAFE_NO_PAD.encode(&self.raw);
            let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.id});
            return serde_json::from_value(jwk).unwrap();
        }
        let mut jwk = Jwk::from_encoding_key(&self.secret, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.to_owned());
        jwk
    }

    fn token(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.to_owned());
        encode(&header, claims, &self.secret).unwrap()
    }
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": ["account", "ccm"], "sub": "248289761001", "iat": NOW, "exp": NOW + 300,
           "email": "Mary@Example.com", "email_verified": true, "groups": ["everybody"]})
}

fn with(changes: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn keys(jwks: &[Jwk]) -> KeySet {
    KeySet::read(json!({"keys": jwks}).to_string().as_bytes()).unwrap()
}

#[test]
fn tokens_of_each_kind_of_key_are_taken() {
    for algorithm in [
        Algorithm::RS256,
        Algorithm::PS256,
        Algorithm::RS512,
        Algorithm::ES256,
        Algorithm::EdDSA,
    ] {
        let pair = Pair::new("1", algorithm);
        let identity = keys(&[pair.jwk()]).verify(&pair.token(&claims()), RULES, NOW);
        let mary = Identity {
            issuer: ISSUER.to_owned(),
            subject: "248289761001".to_owned(),
            email: Some("mary@example.com".to_owned()),
        };
        assert_eq!(identity, Ok(mary), "{algorithm:?}");
    }
}

#[test]
fn issuers_write_numbers_and_flags_in_their_own_ways() {
    let pair = Pair::new("1", Algorithm::ES256);
    let keys = keys(&[pair.jwk()]);
    let verify = |changes: Value| keys.verify(&pair.token(&with(&changes)), RULES, NOW);
    assert!(verify(json!({"exp": NOW as f64 + 300.5, "iat": NOW as f64 - 0.5})).is_ok());
    assert_eq!(
        verify(json!({"exp": NOW as f64 - 30.5})),
        Err(TokenError::Expired)
    );
    let email = |verified: Value| verify(json!({"email_verified": verified})).unwrap().email;
    assert_eq!(email(json!("true")), email(json!(true)));
    assert_eq!((email(json!("false")), email(json!("yes"))), (None, None));
    assert_eq!(verify(json!({"sub": "a\0"})), Err(TokenError::Malformed));
    assert_eq!(
        verify(json!({"email": "a\0@example.com"})),
        Err(TokenError::Malformed)
    );
}

#[test]
fn a_token_that_asks_for_more_than_is_known_is_refused() {
    let pair = Pair::new("1", Algorithm::ES256);
    let keys = keys(&[pair.jwk()]);
    let good = pair.token(&claims());
    let mut header: Value = serde_json::from_slice(
        &BASE64_URL_SAFE_NO_PAD
            .decode(good.split('.').next().unwrap())
            .unwrap(),
    )
    .unwrap();
    header["crit"] = json!(["x"]);
    let claims = good.split('.').nth(1).unwrap();
    let message = format!("{}.{claims}", BASE64_URL_SAFE_NO_PAD.encode(header.to_string()));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &pair.secret, pair.algorithm).unwrap();
    assert_eq!(
        keys.verify(&format!("{message}.{signature}"), RULES, NOW),
        Err(TokenError::Malformed)
    );
}

#[test]
fn an_issuer_changes_its_keys() {
    let (old, new) = (
        Pair::new("old", Algorithm::ES256),
        Pair::new("new", Algorithm::ES256),
    );
    let (before, after) = (keys(&[old.jwk()]), keys(&[new.jwk()]));
    let token = new.token(&claims());
    assert!(!before.fits(&token), "the issuer is to be asked again");
    assert_eq!(before.verify(&token, RULES, NOW), Err(TokenError::UnknownKey));
    assert!(after.fits(&token) && after.verify(&token, RULES, NOW).is_ok());
    assert_eq!(
        after.verify(&old.token(&claims()), RULES, NOW),
        Err(TokenError::UnknownKey)
    );
    let both = keys(&[old.jwk(), new.jwk()]);
    assert!(both.verify(&old.token(&claims()), RULES, NOW).is_ok());
}

#[test]
fn what_is_not_for_us_is_refused() {
    let pair = Pair::new("1", Algorithm::ES256);
    let keys = keys(&[pair.jwk()]);
    for (changes, error) in [
        (json!({"iss": "https://evil.example.com"}), TokenError::Issuer),
        (json!({"aud": "other"}), TokenError::Audience),
        (json!({"aud": null}), TokenError::Malformed),
        (json!({"sub": null}), TokenError::Malformed),
        (json!({"exp": NOW - 31}), TokenError::Expired),
        (json!({"exp": null}), TokenError::Malformed),
        (json!({"nbf": NOW + 31}), TokenError::NotYetValid),
        (json!({"iat": NOW + 31}), TokenError::NotYetValid),
    ] {
        let token = pair.token(&with(&changes));
        assert_eq!(keys.verify(&token, RULES, NOW), Err(error), "{changes}");
    }
    let mut token = pair.token(&claims());
    token.pop();
    assert!(keys.verify(&token, RULES, NOW).is_err());
    for nonsense in ["", "..", "a.b.c", &"x".repeat(100_000)] {
        assert!(keys.verify(nonsense, RULES, NOW).is_err());
    }
}

#[test]
fn an_address_that_the_issuer_has_not_verified_is_nobodys() {
    let pair = Pair::new("1", Algorithm::ES256);
    let keys = keys(&[pair.jwk()]);
    for changes in [
        json!({"email_verified": false}),
        json!({"email_verified": null}),
        json!({"email": null}),
    ] {
        let mut claims = with(&changes);
        claims
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        let identity = keys.verify(&pair.token(&claims), RULES, NOW).unwrap();
        assert_eq!(identity.email, None, "{changes}");
    }
}

/// RFC 8725, 2.1: the key says which algorithms it is for.
#[test]
fn a_public_key_is_no_secret_and_no_other_algorithms_key() {
    let pair = Pair::new("1", Algorithm::RS256);
    let mut jwk = pair.jwk();
    jwk.common.key_algorithm = Some(KeyAlgorithm::RS256);
    let public = serde_json::to_string(&jwk).unwrap();
    let keys = keys(&[jwk]);
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("1".to_owned());
    let forged = encode(&header, &claims(), &EncodingKey::from_secret(public.as_bytes())).unwrap();
    assert_eq!(keys.verify(&forged, RULES, NOW), Err(TokenError::UnknownKey));
    let mut header = Header::new(Algorithm::RS512);
    header.kid = Some("1".to_owned());
    let other = encode(&header, &claims(), &pair.secret).unwrap();
    assert_eq!(keys.verify(&other, RULES, NOW), Err(TokenError::UnknownKey));
}

#[test]
fn a_token_without_a_key_id_is_taken_where_one_key_fits() {
    let (one, two) = (Pair::new("1", Algorithm::ES256), Pair::new("2", Algorithm::ES256));
    let ed = Pair::new("3", Algorithm::EdDSA);
    let token = encode(&Header::new(Algorithm::ES256), &claims(), &one.secret).unwrap();
    assert!(keys(&[one.jwk(), ed.jwk()]).verify(&token, RULES, NOW).is_ok());
    assert_eq!(
        keys(&[one.jwk(), two.jwk()]).verify(&token, RULES, NOW),
        Err(TokenError::UnknownKey)
    );
}

#[test]
fn keys_that_do_not_sign_are_passed_over() {
    let pair = Pair::new("1", Algorithm::ES256);
    let mut encrypts = Pair::new("2", Algorithm::RS256).jwk();
    encrypts.common.public_key_use = Some(PublicKeyUse::Encryption);
    let set = json!({"keys": [encrypts, {"kty": "oct", "k": "c2VjcmV0", "kid": "s"},
                              {"kty": "of the future"}, 7, pair.jwk()]});
    let keys = KeySet::read(set.to_string().as_bytes()).unwrap();
    assert!(keys.fits(&pair.token(&claims())));
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("s".to_owned());
    let shared = encode(&header, &claims(), &EncodingKey::from_secret(b"secret")).unwrap();
    assert!(!keys.fits(&shared));
    for (document, error) in [
        ("{}", None),
        ("[", None),
        ("{\"keys\": []}", Some(DiscoveryError::NoKeys)),
    ] {
        let found = KeySet::read(document.as_bytes()).err().unwrap();
        assert!(error.is_none_or(|error| error == found), "{found}");
    }
}

#[test]
fn the_document_must_be_the_issuers() {
    let read = |document: Value| Discovery::read(ISSUER, document.to_string().as_bytes());
    assert_eq!(
        Discovery::address(ISSUER),
        "https://login.example.com/realms/ccm/.well-known/openid-configuration"
    );
    let keys_at = "https://login.example.com/keys";
    let good = read(json!({"issuer": ISSUER, "jwks_uri": keys_at, "more": 1})).unwrap();
    assert_eq!(good.keys_at, keys_at);
    assert_eq!(
        read(json!({"issuer": "https://login.example.com/", "jwks_uri": keys_at})),
        Err(DiscoveryError::OtherIssuer(
            "https://login.example.com/".to_owned()
        ))
    );
    assert_eq!(
        read(json!({"issuer": ISSUER, "jwks_uri": "http://login.example.com/keys"})),
        Err(DiscoveryError::NotHttps)
    );
    assert!(matches!(
        read(json!({"issuer": ISSUER})),
        Err(DiscoveryError::Unreadable(_))
    ));
}

#[test]
fn a_token_says_whose_it_is() {
    let token = Pair::new("1", Algorithm::ES256).token(&claims());
    assert_eq!(issuer_of(&token).as_deref(), Some(ISSUER));
    for nonsense in ["", "ccm_key", "a.b.c", &"x".repeat(100_000)] {
        assert_eq!(issuer_of(nonsense), None);
    }
}
