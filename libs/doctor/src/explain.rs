//! From what a dial met to what is wrong. Where one sign has several meanings, another question is asked of the peer.

use std::io;
use std::time::Duration;

use ccm_ewc_client::{
    DialError, Dialer, HttpAnswer, ProxyProblem, QueueError, Scheme, Target, TlsEvidence, TlsProblem,
    currentqueue,
};
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use crate::cause::{Cause, Place};
use crate::chain::Chain;
use crate::log::fact;
use crate::report::{Fact, Finding};

/// How long a question besides may take.
const ASIDE: Duration = Duration::from_secs(3);

/// The endpoint that is examined.
pub(crate) struct Patient<'a> {
    pub target: &'a Target,
    pub dialer: &'a Dialer,
    pub now: OffsetDateTime,
}

/// How a connection ended that was to be upgraded.
enum Ended {
    Reset,
    Closed,
    /// Something came that is neither HTTP nor WebSocket.
    Garbage,
}

impl Ended {
    /// The driver gives the words of the layers below.
    fn of(words: &str) -> Self {
        let words = words.to_ascii_lowercase();
        let any = |signs: &[&str]| signs.iter().any(|sign| words.contains(sign));
        match () {
            () if any(&["reset", "broken pipe", "aborted"]) => Ended::Reset,
            () if any(&["not finished", "eof", "end of file", "closed", "without closing"]) => Ended::Closed,
            () => Ended::Garbage,
        }
    }
}

impl Patient<'_> {
    fn is_tls(&self) -> bool {
        self.target.scheme == Scheme::Wss
    }

    /// Why no dial of this target could ever begin.
    pub fn settings(error: &DialError) -> Finding {
        let cause = match error {
            DialError::BadCa(_) => Cause::CaUnusable,
            DialError::BadIdentity(_) => Cause::ClientCertificateUnusable,
            DialError::NoSystemRoots => Cause::NoSystemRoots,
            _ => Cause::AddressUnusable,
        };
        Finding::new(cause, sentence(error))
    }

    /// Why there is no address.
    pub fn dns(&self, error: &DialError) -> Finding {
        let host = &self.target.host;
        match error {
            DialError::Dns { source, .. } => Finding::new(
                Cause::DnsUnknown,
                format!("{host} could not be looked up: {source}."),
            ),
            DialError::NotAllowed { .. } => Finding::new(Cause::AddressNotAllowed, sentence(error)),
            DialError::Proxy(problem) => self.proxy(problem),
            DialError::Timeout(_) if self.target.proxy.is_some() => Finding::new(
                Cause::ProxyUnreachable,
                "The proxy's name was not looked up in time.",
            ),
            _ => Finding::new(
                Cause::DnsSilent,
                format!("DNS did not say in time where {host} is."),
            ),
        }
    }

    /// Why there is no connection.
    pub async fn tcp(&self, error: &DialError) -> Finding {
        let port = self.target.port;
        match error {
            DialError::Proxy(problem) => self.proxy(problem),
            DialError::Timeout(_) if self.target.proxy.is_some() => {
                Finding::new(Cause::ProxyUnreachable, "The proxy did not connect us in time.")
            }
            DialError::Timeout(_) => Finding::new(
                Cause::FirewallDrops,
                format!(
                    "Nobody answered on port {port}, not even with a refusal: packets are dropped on the way."
                ),
            ),
            DialError::Tcp(error) if error.kind() == io::ErrorKind::ConnectionRefused => self.refused().await,
            DialError::Tcp(error) if error.kind() == io::ErrorKind::TimedOut => Finding::new(
                Cause::FirewallDrops,
                format!("Nobody answered on port {port}: packets are dropped on the way."),
            ),
            DialError::Tcp(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable
                ) =>
            {
                Finding::new(Cause::NoRoute, format!("The address cannot be reached: {error}."))
            }
            DialError::Tcp(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                self.not_let_in("The connection was reset as soon as it was made.")
            }
            other => Finding::new(Cause::NoRoute, sentence(other)),
        }
    }

    /// The port is closed: perhaps the one of the other security level is open.
    async fn refused(&self) -> Finding {
        let port = self.target.port;
        let (other, level, url) = match (self.target.scheme, port) {
            (Scheme::Wss, 8445) => (8081, "Off", "ws"),
            (Scheme::Ws, 8081) => (8445, "On", "wss"),
            _ => (0, "", ""),
        };
        if other != 0 && self.is_open(other).await {
            return Finding::new(
                Cause::WrongPortForSecurityLevel,
                format!(
                    "Port {port} is closed and port {other} is open: AACC's Web Services Security Level is {level}, or only \
                     the {url} service is relayed."
                ),
            )
            .at(Place::Aacc);
        }
        Finding::new(
            Cause::PortClosed,
            format!("The machine answers and says that nothing listens on port {port}."),
        )
    }

    async fn is_open(&self, port: u16) -> bool {
        let other = Target {
            port,
            ..self.target.clone()
        };
        let open = async {
            let dialer = Dialer::new(&other).ok()?;
            let addresses = dialer.resolve(dialer.deadline()).await.ok()?;
            TcpStream::connect(addresses.as_slice()).await.ok()
        };
        matches!(timeout(ASIDE, open).await, Ok(Some(_)))
    }

    fn proxy(&self, problem: &ProxyProblem) -> Finding {
        match problem {
            ProxyProblem::Dns { .. } | ProxyProblem::Tcp(_) | ProxyProblem::NotAProxy(_) => Finding::new(
                Cause::ProxyUnreachable,
                format!("No way through the proxy: {problem}."),
            ),
            ProxyProblem::Refused(answer) => {
                let cause = match answer.status {
                    407 => Cause::ProxyCredentials,
                    502..=504 => Cause::ProxyCannotReach,
                    _ => Cause::ProxyRefuses,
                };
                Finding::new(cause, format!("The proxy answered CONNECT with {answer}."))
            }
        }
    }

    /// Why there is no TLS.
    pub async fn tls(&self, error: &DialError, evidence: &TlsEvidence) -> Finding {
        match error {
            DialError::Tls(problem) => self.tls_problem(problem, evidence).await,
            DialError::Timeout(_) => Finding::new(
                Cause::PeerSilent,
                "The connection was taken, and the TLS handshake was never answered.",
            ),
            other => Finding::new(Cause::TlsRefused, sentence(other)),
        }
    }

    async fn tls_problem(&self, problem: &TlsProblem, evidence: &TlsEvidence) -> Finding {
        let chain = Chain::read(&evidence.chain);
        let certificate = self.target.client_identity.is_some();
        match problem {
            TlsProblem::UnknownIssuer => chain.missing_issuer(self.target),
            TlsProblem::WrongName => chain.wrong_name(self.target),
            TlsProblem::Expired => chain.expired(self.now),
            TlsProblem::NotYetValid => chain.not_yet_valid(self.now),
            TlsProblem::BadCertificate(_) => Finding::new(Cause::CertificateUnusable, sentence(problem)),
            TlsProblem::ClientCertificateWanted => Finding::new(
                Cause::ClientCertificateWanted,
                "The peer asks for a client certificate, and the link has none.",
            ),
            TlsProblem::ClientCertificateRefused(alert) => Finding::new(
                Cause::ClientCertificateRefused,
                format!("The peer refused the link's client certificate ({alert})."),
            ),
            TlsProblem::NoCommonVersion => Finding::new(
                Cause::TlsVersionTooOld,
                "The peer speaks neither TLS 1.2 nor TLS 1.3; older versions are not safe.",
            ),
            TlsProblem::NoCommonCipher(detail) => Finding::new(
                Cause::NoCommonCipher,
                format!("The peer offers no cipher suite that is safe ({detail})."),
            ),
            TlsProblem::NameUnknown => Finding::new(
                Cause::NameUnknown,
                "The peer does not go by the name that it was asked for (SNI).",
            ),
            TlsProblem::NotTls if self.speaks_http().await => Finding::new(
                Cause::WrongPortForSecurityLevel,
                format!(
                    "Port {} answers in plain HTTP, and the link's address says wss.",
                    self.target.port
                ),
            ),
            TlsProblem::NotTls => Finding::new(
                Cause::NotTls,
                format!(
                    "What answers on port {} speaks neither TLS nor HTTP.",
                    self.target.port
                ),
            ),
            TlsProblem::Broken(_) => self
                .not_let_in("The connection was taken and then ended before the TLS handshake was answered."),
            TlsProblem::Refused(detail) if evidence.client_certificate_asked && !certificate => Finding::new(
                Cause::ClientCertificateWanted,
                format!(
                    "The peer asked for a client certificate, the link has none, and the handshake was refused ({detail})."
                ),
            ),
            TlsProblem::Refused(_) => Finding::new(Cause::TlsRefused, sentence(problem)),
        }
    }

    fn not_let_in(&self, seen: &str) -> Finding {
        Finding::new(
            Cause::SourceNotWhitelisted,
            format!(
                "{seen} So does a session border controller or firewall with a white list that our address is not on."
            ),
        )
    }

    /// Why the connection became no WebSocket; with what was asked besides.
    pub async fn upgrade(&self, error: &DialError) -> (Finding, Vec<Fact>) {
        match error {
            DialError::Upgrade(answer) => self.answered(answer).await,
            DialError::NotWebSocket(words) => self.ended(words).await,
            DialError::Tls(problem) => {
                let finding = self.tls_problem(problem, &TlsEvidence::default()).await;
                (finding, Vec::new())
            }
            DialError::Timeout(_) => {
                let (queue, facts) = self.ask_queue().await;
                let finding = match queue {
                    true => Finding::new(
                        Cause::UpgradeBlocked,
                        "The upgrade was never answered, while queue metrics are answered over the same way.",
                    ),
                    false => Finding::new(
                        Cause::PeerSilent,
                        "The connection was taken, and HTTP is never answered.",
                    ),
                };
                (finding, facts)
            }
            other => (Finding::new(Cause::UnexpectedAnswer, sentence(other)), Vec::new()),
        }
    }

    async fn answered(&self, answer: &HttpAnswer) -> (Finding, Vec<Fact>) {
        let of = |cause, explanation: String| (Finding::new(cause, explanation), Vec::new());
        let seen = format!("The upgrade was answered with {answer}.");
        if answer.status == 400 && answer.body.to_ascii_lowercase().contains("https port") {
            return of(
                Cause::WrongPortForSecurityLevel,
                format!(
                    "Port {} speaks TLS, and the link's address says ws.",
                    self.target.port
                ),
            );
        }
        if matches!(answer.status, 400 | 495 | 496) && answer.body.contains("SSL certificate")
            || answer.status == 496
        {
            let cause = match self.target.client_identity {
                None => Cause::ClientCertificateWanted,
                Some(_) => Cause::ClientCertificateRefused,
            };
            return of(cause, seen);
        }
        match answer.status {
            301..=308 if self.is_sent_to_tls(answer) => {
                return of(
                    Cause::WrongPortForSecurityLevel,
                    format!("{seen} It sends us to the same place with TLS."),
                );
            }
            301..=308 | 401 | 407 => {
                return of(
                    Cause::LoginInFront,
                    format!("{seen} Something wants a login first."),
                );
            }
            413 | 431 => {
                return of(
                    Cause::BodyLimitTooSmall,
                    format!("{seen} Even that request was too large."),
                );
            }
            421 => return of(Cause::NameUnknown, format!("{seen} It serves another name here.")),
            429 => return of(Cause::RateLimited, seen),
            500.. => {
                return of(
                    Cause::AaccDownBehindProxy,
                    format!(
                        "{seen} The reverse proxy is there, and AACC's web service behind it does not answer as it should."
                    ),
                );
            }
            _ => {}
        }
        if self.target.path != Target::CHAT_PATH && self.usual_path_works().await {
            let usual = Target::CHAT_PATH;
            return of(
                Cause::WrongPath,
                format!("{seen} {usual} takes the upgrade, {} does not.", self.target.path),
            );
        }
        let (queue, facts) = self.ask_queue().await;
        let finding = match answer.status {
            200..=299 | 400 | 405 | 426 | 501 => Finding::new(
                Cause::AllowWebsocketUnticked,
                format!("{seen} It was taken for an ordinary request: the upgrade was dropped on the way."),
            ),
            404 if self.target.path != Target::CHAT_PATH => Finding::new(
                Cause::WrongPath,
                format!("{seen} The link's path is {}.", self.target.path),
            ),
            403 | 404 if queue => Finding::new(
                Cause::AllowWebsocketUnticked,
                format!(
                    "{seen} Queue metrics are answered over the same way, so it is the upgrade that does not get through."
                ),
            ),
            403 => Finding::new(
                Cause::SourceNotWhitelisted,
                format!("{seen} The reverse proxy does not serve our source address."),
            ),
            404 => Finding::new(
                Cause::EwcNotEnabled,
                format!(
                    "{seen} Neither the chat nor queue metrics are served, so Enterprise Web Chat is not there."
                ),
            ),
            _ => Finding::new(Cause::UnexpectedAnswer, seen),
        };
        (finding, facts)
    }

    async fn ended(&self, words: &str) -> (Finding, Vec<Fact>) {
        if !self.is_tls() && self.speaks_tls().await {
            let finding = Finding::new(
                Cause::WrongPortForSecurityLevel,
                format!(
                    "Port {} speaks TLS, and the link's address says ws.",
                    self.target.port
                ),
            );
            return (finding, Vec::new());
        }
        let (queue, facts) = self.ask_queue().await;
        let seen = match Ended::of(words) {
            Ended::Reset => "The connection was reset when the upgrade was asked for.",
            Ended::Closed => "The connection was closed when the upgrade was asked for.",
            Ended::Garbage => {
                let finding = Finding::new(
                    Cause::UnexpectedAnswer,
                    format!("What came back is neither HTTP nor WebSocket: {words}."),
                );
                return (finding, facts);
            }
        };
        let finding = match queue {
            true => Finding::new(
                Cause::UpgradeBlocked,
                format!("{seen} Queue metrics are answered over the same way."),
            ),
            false => self.not_let_in(seen),
        };
        (finding, facts)
    }

    /// Whether queue metrics are answered: the same way, host and folder, without an upgrade.
    async fn ask_queue(&self) -> (bool, Vec<Fact>) {
        let (works, said) = match timeout(ASIDE, Box::pin(currentqueue(self.dialer, ""))).await {
            Ok(Ok(queues)) => (true, format!("answered with {} queues", queues.len())),
            Ok(Err(QueueError::BadAnswer)) => (false, "answered, but not with metrics".to_owned()),
            Ok(Err(error)) => (false, error.to_string()),
            Err(_) => (false, "no answer in time".to_owned()),
        };
        (works, vec![fact("asked besides: queue metrics", said)])
    }

    async fn usual_path_works(&self) -> bool {
        let usual = Target {
            path: Target::CHAT_PATH.into(),
            ..self.target.clone()
        };
        let probe = async { Dialer::new(&usual).ok()?.probe().await.ok() };
        matches!(timeout(ASIDE, Box::pin(probe)).await, Ok(Some(())))
    }

    fn is_sent_to_tls(&self, answer: &HttpAnswer) -> bool {
        let location = answer.location.as_deref().and_then(|l| Url::parse(l).ok());
        !self.is_tls()
            && location.is_some_and(|url| {
                url.scheme() == "https"
                    && url.host_str() == Some(&self.target.host)
                    && url.path() == self.target.path
            })
    }

    fn with(&self, scheme: Scheme) -> Target {
        Target {
            scheme,
            ..self.target.clone()
        }
    }

    /// Whether this port speaks TLS, whatever it shows.
    async fn speaks_tls(&self) -> bool {
        let hello = async {
            let dialer = Dialer::new(&self.with(Scheme::Wss)).ok()?;
            let deadline = dialer.deadline();
            let addresses = dialer.resolve(deadline).await.ok()?;
            let connection = dialer.connect(&addresses, deadline).await.ok()?;
            let secured = dialer.secure(connection, deadline).await;
            let shown = !secured.evidence.chain.is_empty();
            Some(match secured.stream {
                Ok(_) => true,
                Err(DialError::Tls(TlsProblem::NotTls | TlsProblem::Broken(_))) => shown,
                Err(DialError::Tls(_)) => true,
                Err(_) => shown,
            })
        };
        matches!(timeout(ASIDE, Box::pin(hello)).await, Ok(Some(true)))
    }

    /// Whether this port speaks HTTP without TLS.
    async fn speaks_http(&self) -> bool {
        let plain = async { Some(Dialer::new(&self.with(Scheme::Ws)).ok()?.probe().await) };
        matches!(
            timeout(ASIDE, Box::pin(plain)).await,
            Ok(Some(Ok(()) | Err(DialError::Upgrade(_))))
        )
    }
}

/// What an answer looked like.
pub(crate) fn answer_facts(answer: &HttpAnswer) -> Vec<Fact> {
    let mut facts = vec![fact("HTTP status", answer.status)];
    // What stands behind a question mark can be a session.
    let location = answer
        .location
        .as_deref()
        .map(|l| l.split(['?', '#']).next().unwrap_or(l).to_owned());
    for (name, value) in [
        ("Server", &answer.server),
        ("Location", &location),
        ("WWW-Authenticate", &answer.authenticate),
        ("Content-Type", &answer.content_type),
    ] {
        facts.extend(value.as_ref().map(|value| fact(name, value)));
    }
    if !answer.body.is_empty() {
        facts.push(fact("body begins", &answer.body));
    }
    facts
}

/// An error as a sentence.
pub(crate) fn sentence(error: &impl ToString) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    let first = chars
        .next()
        .map(|c| c.to_uppercase().to_string())
        .unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}
