//! Which certificate is missing, wrong or about to end: the chain as the peer sent it, beside what the link trusts.

use std::net::IpAddr;

use ccm_ewc_client::{PeerCertificate, Target};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::cause::{Cause, Place};
use crate::log::fact;
use crate::report::{Fact, Finding};

/// The certificates that a peer sent, leaf first.
pub(crate) struct Chain(Vec<PeerCertificate>);

impl Chain {
    pub fn read(sent: &[Vec<u8>]) -> Self {
        Chain(
            sent.iter()
                .filter_map(|der| PeerCertificate::from_der(der).ok())
                .collect(),
        )
    }

    fn leaf(&self) -> Option<&PeerCertificate> {
        self.0.first()
    }

    pub fn evidence(&self, now: OffsetDateTime) -> Vec<Fact> {
        let mut facts = Vec::new();
        for (at, certificate) in self.0.iter().enumerate() {
            let what = match at {
                0 => "certificate".to_owned(),
                at => format!("certificate {at} above it"),
            };
            facts.push(fact(&what, &certificate.subject));
            facts.push(fact(format!("{what}: issuer"), &certificate.issuer));
            if at == 0 {
                facts.push(fact(format!("{what}: names"), listed(&certificate.names)));
            }
            let valid = format!(
                "{} to {} ({})",
                day(certificate.not_before),
                day(certificate.not_after),
                left(certificate.not_after, now)
            );
            facts.push(fact(format!("{what}: valid"), valid));
            facts.push(fact(format!("{what}: SHA-256"), &certificate.sha256));
        }
        facts
    }

    /// Who is missing between the chain and what the link trusts.
    pub fn missing_issuer(&self, target: &Target) -> Finding {
        let Some(top) = self.top() else {
            return Finding::new(
                Cause::TlsRefused,
                "The peer sent no certificate that can be read.",
            );
        };
        let trusted = trusted(target);
        let ours = match &target.ca_pem {
            None => "the public authorities of this system".to_owned(),
            Some(_) => format!(
                "the link's authorities ({})",
                listed(trusted.iter().map(|t| &t.subject))
            ),
        };
        if top.is_self_issued() && self.0.len() == 1 {
            return Finding::new(
                Cause::SelfSigned,
                format!(
                    "The certificate {} is signed with its own key: nobody vouches for it.",
                    top.subject
                ),
            );
        }
        if top.is_self_issued() {
            return Finding::new(
                Cause::PrivateCaMissing,
                format!(
                    "The root {} was sent along, and it is not among {ours}.",
                    top.subject
                ),
            );
        }
        let missing = &top.issuer;
        if trusted.iter().any(|t| t.subject == *missing) {
            return Finding::new(
                Cause::PrivateCaMissing,
                format!(
                    "An authority named {missing} is trusted, but another key of that name issued {}: the authority was made \
                     anew. Its new certificate is missing among {ours}.",
                    top.subject
                ),
            );
        }
        let sent = match self.0.len() {
            1 => "only its own certificate was sent".to_owned(),
            n => format!("{n} certificates were sent"),
        };
        let relative = trusted.iter().find(|t| is_related(missing, &t.subject));
        if looks_like_intermediate(missing) || relative.is_some() {
            let below = relative.map_or(String::new(), |t| {
                format!(" It seems to stand below {}, which is trusted.", t.subject)
            });
            return Finding::new(
                Cause::IntermediateMissing,
                format!(
                    "{} was issued by the intermediate {missing}, and {sent}: the chain does not reach {ours}.{below}",
                    top.subject
                ),
            );
        }
        Finding::new(
            Cause::PrivateCaMissing,
            format!(
                "{} was issued by {missing}, which is not among {ours} ({sent}). If {missing} is no root but an intermediate, \
                 the peer must send it.",
                top.subject
            ),
        )
    }

    /// The name that was asked for, and those that are there.
    pub fn wrong_name(&self, target: &Target) -> Finding {
        let wanted = target.server_name.as_deref().unwrap_or(&target.host);
        let Some(leaf) = self.leaf() else {
            return Finding::new(Cause::WrongName, format!("The certificate is not for {wanted}."));
        };
        let mut explanation = format!(
            "The certificate is not for {wanted}; it is for {}.",
            listed(&leaf.names)
        );
        if leaf.names.is_empty() && common_name(&leaf.subject) == Some(wanted) {
            explanation = format!(
                "{wanted} stands in the certificate's common name only; it must be a subject alternative name."
            );
        } else if wanted.parse::<IpAddr>().is_ok() {
            explanation += " An address must stand in it as an address.";
        }
        Finding::new(Cause::WrongName, explanation)
    }

    pub fn expired(&self, now: OffsetDateTime) -> Finding {
        let ended = self.0.iter().find(|certificate| certificate.not_after < now);
        let explanation = match ended {
            Some(certificate) => format!(
                "The certificate {} ended on {} ({}).",
                certificate.subject,
                day(certificate.not_after),
                left(certificate.not_after, now)
            ),
            None => "A certificate of the chain has ended.".to_owned(),
        };
        Finding::new(Cause::CertificateExpired, explanation)
    }

    pub fn not_yet_valid(&self, now: OffsetDateTime) -> Finding {
        let early = self.0.iter().find(|certificate| certificate.not_before > now);
        let explanation = match early {
            Some(certificate) => format!(
                "The certificate {} begins on {}; our clock says {}.",
                certificate.subject,
                minute(certificate.not_before),
                minute(now)
            ),
            None => "A certificate of the chain is not valid yet.".to_owned(),
        };
        Finding::new(Cause::CertificateNotYetValid, explanation)
    }

    /// The first of the chain to end, if that is soon.
    pub fn ends_soon(&self, now: OffsetDateTime, warn_days: u32) -> Option<Finding> {
        let first = self.0.iter().min_by_key(|certificate| certificate.not_after)?;
        soon(first, now, warn_days)
            .map(|explanation| Finding::new(Cause::CertificateExpiresSoon, explanation))
    }

    /// The last that was sent of those that issued each other, from the leaf up.
    fn top(&self) -> Option<&PeerCertificate> {
        let mut top = self.leaf()?;
        // Each may be climbed once: names can go round in circles.
        for _ in 1..self.0.len() {
            if top.is_self_issued() {
                break;
            }
            match self.0.iter().find(|above| above.subject == top.issuer) {
                Some(above) => top = above,
                None => break,
            }
        }
        Some(top)
    }
}

/// What the settings step says of a link's own certificates.
pub(crate) fn own_evidence(target: &Target, now: OffsetDateTime) -> Vec<Fact> {
    let mut facts = Vec::new();
    if target.ca_pem.is_none() {
        facts.push(fact("trusts", "the public authorities of this system"));
    } else {
        for authority in trusted(target) {
            let until = left(authority.not_after, now);
            facts.push(fact("trusts", format!("{} ({until})", authority.subject)));
        }
    }
    if let Some(certificate) = client_certificate(target) {
        let until = left(certificate.not_after, now);
        facts.push(fact(
            "client certificate",
            format!("{} ({until})", certificate.subject),
        ));
    }
    facts
}

pub(crate) fn client_certificate_ends_soon(
    target: &Target,
    now: OffsetDateTime,
    warn_days: u32,
) -> Option<Finding> {
    let certificate = client_certificate(target)?;
    let explanation = soon(&certificate, now, warn_days)?;
    Some(Finding::new(Cause::ClientCertificateExpiresSoon, explanation).at(Place::OurSettings))
}

fn soon(certificate: &PeerCertificate, now: OffsetDateTime, warn_days: u32) -> Option<String> {
    let days = (certificate.not_after - now).whole_days();
    (days < i64::from(warn_days)).then(|| {
        format!(
            "The certificate {} ends on {} ({}).",
            certificate.subject,
            minute(certificate.not_after),
            left(certificate.not_after, now)
        )
    })
}

fn client_certificate(target: &Target) -> Option<PeerCertificate> {
    PeerCertificate::all_of_pem(&target.client_identity.as_ref()?.chain_pem)
        .into_iter()
        .next()
}

fn trusted(target: &Target) -> Vec<PeerCertificate> {
    match &target.ca_pem {
        Some(pem) => PeerCertificate::all_of_pem(pem),
        None => {
            let system = rustls_native_certs::load_native_certs().certs;
            system
                .iter()
                .filter_map(|der| PeerCertificate::from_der(der).ok())
                .collect()
        }
    }
}

/// A part of a name as RFC 4514 writes it.
fn part<'a>(name: &'a str, key: &str) -> Option<&'a str> {
    let mut parts = name.split(',').map(str::trim);
    parts.find_map(|part| part.strip_prefix(key)?.strip_prefix('='))
}

fn common_name(name: &str) -> Option<&str> {
    part(name, "CN")
}

/// Whether two authorities belong to the same organisation, by their names.
fn is_related(one: &str, other: &str) -> bool {
    part(one, "O").is_some_and(|o| part(other, "O") == Some(o))
}

fn looks_like_intermediate(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["intermediate", "issuing", "sub ca", "subca", "subordinate"]
        .iter()
        .any(|word| name.contains(word))
}

fn listed(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let all: Vec<String> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
    match all.as_slice() {
        [] => "no name at all".to_owned(),
        all => all.join("; "),
    }
}

fn day(at: OffsetDateTime) -> String {
    at.format(format_description!("[year]-[month]-[day]"))
        .unwrap_or_else(|_| at.to_string())
}

fn minute(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    at.format(format).unwrap_or_else(|_| at.to_string())
}

fn left(until: OffsetDateTime, now: OffsetDateTime) -> String {
    let left = until - now;
    match left.whole_days() {
        _ if left.is_negative() && left.whole_days() == 0 => "ended today".to_owned(),
        days if left.is_negative() => format!("ended {} days ago", -days),
        0 => format!("{} hours left", left.whole_hours()),
        days => format!("{days} days left"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-08-01 12:00 UTC);

    fn certificate(subject: &str, issuer: &str) -> PeerCertificate {
        PeerCertificate {
            subject: subject.into(),
            issuer: issuer.into(),
            names: vec!["aacc.example.com".into()],
            not_before: datetime!(2026-01-01 0:00 UTC),
            not_after: datetime!(2027-01-01 0:00 UTC),
            sha256: "00".into(),
            serial: "01".into(),
            key: "EC 256".into(),
            is_ca: false,
            for_clients: false,
        }
    }

    fn trusting(pem: &str) -> Target {
        Target {
            ca_pem: Some(pem.into()),
            ..Target::wss("aacc.example.com", 8445)
        }
    }

    fn cause_of(chain: &[(&str, &str)], ca: &str) -> (Cause, String) {
        let chain = Chain(chain.iter().map(|(s, i)| certificate(s, i)).collect());
        let finding = chain.missing_issuer(&trusting(ccm_testkit::certs::Ca::new(ca).unwrap().pem()));
        (finding.cause, finding.explanation)
    }

    #[test]
    fn the_missing_authority_is_named() {
        let (cause, said) = cause_of(&[("CN=aacc", "CN=System Manager CA, O=AVAYA")], "Ours");
        assert_eq!(cause, Cause::PrivateCaMissing);
        assert!(
            said.contains("CN=System Manager CA, O=AVAYA") && said.contains("CN=Ours"),
            "{said}"
        );
        let (cause, said) = cause_of(
            &[
                ("CN=aacc", "CN=Mid"),
                ("CN=Mid", "CN=Root"),
                ("CN=Root", "CN=Root"),
            ],
            "Ours",
        );
        assert_eq!(cause, Cause::PrivateCaMissing);
        assert!(said.contains("The root CN=Root was sent along"), "{said}");
        let (cause, said) = cause_of(&[("CN=aacc", "CN=Mid"), ("CN=Mid", "CN=Root")], "Ours");
        assert_eq!(cause, Cause::PrivateCaMissing);
        assert!(said.contains("issued by CN=Root"), "{said}");
    }

    #[test]
    fn an_authority_made_anew_has_the_old_name() {
        let (cause, said) = cause_of(&[("CN=aacc", "CN=Ours")], "Ours");
        assert_eq!(cause, Cause::PrivateCaMissing);
        assert!(said.contains("made anew"), "{said}");
    }

    #[test]
    fn an_intermediate_is_known_by_its_name_or_its_organisation() {
        let (cause, _) = cause_of(&[("CN=aacc", "CN=Example Issuing CA 3")], "Ours");
        assert_eq!(cause, Cause::IntermediateMissing);
        assert!(is_related(
            "CN=R3, O=Let's Encrypt, C=US",
            "CN=X1, O=Let's Encrypt"
        ));
        assert!(!is_related("CN=R3", "CN=X1"));
    }

    #[test]
    fn one_that_signed_itself_is_no_missing_authority() {
        assert_eq!(cause_of(&[("CN=aacc", "CN=aacc")], "Ours").0, Cause::SelfSigned);
    }

    #[test]
    fn circles_end() {
        let round = Chain(vec![certificate("CN=a", "CN=b"), certificate("CN=b", "CN=a")]);
        assert!(round.top().is_some());
    }

    #[test]
    fn names_are_compared_where_they_count() {
        let mut leaf = certificate("CN=aacc.example.com, O=Example", "CN=Ours");
        let target = trusting("");
        leaf.names = vec!["other.example.com".into()];
        let said = Chain(vec![leaf.clone()]).wrong_name(&target).explanation;
        assert!(said.contains("other.example.com"), "{said}");
        leaf.names.clear();
        let said = Chain(vec![leaf]).wrong_name(&target).explanation;
        assert!(said.contains("common name only"), "{said}");
    }

    #[test]
    fn the_first_to_end_is_warned_of() {
        let leaf = certificate("CN=aacc", "CN=Mid");
        let mut mid = certificate("CN=Mid", "CN=Root");
        assert_eq!(Chain(vec![leaf.clone(), mid.clone()]).ends_soon(NOW, 30), None);
        mid.not_after = NOW + time::Duration::days(13);
        let finding = Chain(vec![leaf, mid]).ends_soon(NOW, 30).unwrap();
        assert!(finding.explanation.contains("CN=Mid") && finding.explanation.contains("13 days left"));
    }

    #[test]
    fn what_is_left_is_said_in_words() {
        for (until, said) in [
            (NOW + time::Duration::days(14), "14 days left"),
            (NOW + time::Duration::hours(5), "5 hours left"),
            (NOW - time::Duration::hours(5), "ended today"),
            (NOW - time::Duration::days(2), "ended 2 days ago"),
        ] {
            assert_eq!(left(until, NOW), said);
        }
    }
}
