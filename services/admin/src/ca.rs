use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject};

/// The longest list of authorities that is taken, in bytes: the public ones together are about 200 kB.
pub const MAX_BYTES: usize = 262_144;

/// What is wrong with a tenant's list of authorities. Says where, and never repeats what stands there: it may be a key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    #[error("is longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error("holds no -----BEGIN CERTIFICATE----- at the start of a line")]
    NoBlock,
    #[error("block {block} (line {line}) {why}")]
    Block {
        /// 1 for the first.
        block: usize,
        /// Its BEGIN line, 1 for the first of the text.
        line: usize,
        why: Bad,
    },
}

/// What is wrong with one block.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    #[error("is a {0}, not a CERTIFICATE")]
    Label(String),
    #[error("has no -----END CERTIFICATE----- line")]
    NoEnd,
    #[error("is not base64 between its BEGIN and END lines")]
    Base64,
    #[error("is not an X.509 certificate")]
    Certificate,
}

impl CaError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::TooLong => {
                "give the certificate of the authority that signed AACC's proxy, not a whole bundle"
            }
            Self::NoBlock => {
                "paste the authority's certificate in PEM, line ends as \\n in JSON; \
                 `openssl x509 -inform der -in ca.cer` makes PEM of DER"
            }
            Self::Block {
                why: Bad::Label(label),
                ..
            } if label.contains("PRIVATE KEY") => {
                "remove it: a private key never belongs here; take the key as leaked if it is in use"
            }
            Self::Block { .. } => {
                "give certificates only, each from its BEGIN line to its END line; \
                 `openssl x509 -in ca.pem -noout -subject` must read every one of them"
            }
        }
    }
}

/// Reads authorities as the link's client will, and returns how many there are.
pub fn check(pem: &str) -> Result<usize, CaError> {
    certificates(pem).map(|found| found.len())
}

/// The certificates of a text. Other text between them is allowed.
pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, CaError> {
    if pem.len() > MAX_BYTES {
        return Err(CaError::TooLong);
    }
    let mut found = Vec::new();
    let mut lines = pem.lines().enumerate().peekable();
    while let Some((at, text)) = lines.next() {
        let Some(label) = text.strip_prefix("-----BEGIN ") else {
            continue;
        };
        let block = found.len() + 1;
        let bad = |why| CaError::Block {
            block,
            line: at + 1,
            why,
        };
        let label = label.trim_end().trim_end_matches('-');
        if label != "CERTIFICATE" {
            return Err(bad(Bad::Label(label.chars().take(40).collect())));
        }
        let mut pem = format!("{text}\n");
        let end = loop {
            match lines.next_if(|(_, text)| !text.starts_with("-----BEGIN ")) {
                Some((_, text)) if text.starts_with("-----END CERTIFICATE-----") => break text,
                Some((_, text)) => pem.extend([text, "\n"]),
                None => return Err(bad(Bad::NoEnd)),
            }
        };
        pem.push_str(end);
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| bad(Bad::Base64))?;
        if RootCertStore::empty().add(der.clone()).is_err() {
            return Err(bad(Bad::Certificate));
        }
        found.push(der);
    }
    if found.is_empty() {
        Err(CaError::NoBlock)
    } else {
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_testkit::certs::Ca;

    fn ca() -> String {
        Ca::new("Test CA").unwrap().pem().to_owned()
    }

    fn bad(block: usize, line: usize, why: Bad) -> Result<usize, CaError> {
        Err(CaError::Block { block, line, why })
    }

    #[test]
    fn certificates_with_words_between_them_are_counted() {
        assert_eq!(check(&ca()), Ok(1));
        assert_eq!(
            check(&format!("subject=CN=One\n{}\n\nsubject=CN=Two\n{}", ca(), ca())),
            Ok(2)
        );
        assert_eq!(check(&ca().replace('\n', "\r\n")), Ok(1));
    }

    #[test]
    fn the_bad_block_is_named() {
        let good = ca();
        let next = good.lines().count() + 1;
        let second = |text: &str| check(&format!("{}\n{text}", good.trim_end()));
        assert_eq!(check(""), Err(CaError::NoBlock));
        assert_eq!(
            check(&good.replace('\n', " ").replace("-----BEGIN", " -----BEGIN")),
            Err(CaError::NoBlock)
        );
        assert_eq!(check(&"x".repeat(MAX_BYTES + 1)), Err(CaError::TooLong));
        assert_eq!(
            second("-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----"),
            bad(2, next, Bad::Label("PRIVATE KEY".into()))
        );
        assert_eq!(
            second("-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----"),
            bad(2, next, Bad::Base64)
        );
        assert_eq!(
            second("-----BEGIN CERTIFICATE-----\nMC4CAQ==\n-----END CERTIFICATE-----"),
            bad(2, next, Bad::Certificate)
        );
        assert_eq!(
            second("-----BEGIN CERTIFICATE-----\nMC4CAQ=="),
            bad(2, next, Bad::NoEnd)
        );
        let cut = good.replace("-----END CERTIFICATE-----", "");
        assert_eq!(check(&format!("{cut}\n{good}")), bad(1, 1, Bad::NoEnd));
    }

    #[test]
    fn a_private_key_is_told_to_go_and_not_repeated() {
        let key = Ca::new("Test CA").unwrap().issue(&["localhost"]).unwrap().key_pem;
        let error = check(&key).unwrap_err();
        assert!(error.remedy().contains("never belongs here"));
        let middle = key.lines().nth(1).unwrap();
        assert!(!format!("{error} {error:?}").contains(middle));
    }
}
