//! What can be wrong with a link.

use serde::{Deserialize, Serialize};

/// Where something must be done, most likely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// AACC's servers, CCMM included.
    Aacc,
    /// The session border controller or another reverse proxy before AACC.
    ReverseProxy,
    Firewall,
    Dns,
    /// The HTTP proxy on our way out.
    EgressProxy,
    /// The link as it is set up with us.
    OurSettings,
}

impl Place {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Place::Aacc => "AACC",
            Place::ReverseProxy => "session border controller or reverse proxy",
            Place::Firewall => "firewall",
            Place::Dns => "DNS",
            Place::EgressProxy => "HTTP proxy on our way out",
            Place::OurSettings => "the link's settings with us",
        }
    }
}

/// Defines [`Cause`] from one table: code, likely place, remedy.
macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident $code:literal $place:ident $remedy:literal,)*) => {
        /// What is wrong. The codes are stable: pages, alerts and scripts go by them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Cause {
            $($(#[$doc])* #[serde(rename = $code)] $name,)*
        }

        impl Cause {
            pub const ALL: &[Cause] = &[$(Cause::$name,)*];

            /// The stable code, in snake case.
            pub fn code(self) -> &'static str {
                match self {
                    $(Cause::$name => $code,)*
                }
            }

            pub fn place(self) -> Place {
                match self {
                    $(Cause::$name => Place::$place,)*
                }
            }

            /// What to do. Names of screens and boxes are those of AACC 7.1 and of Avaya SBCE 8.1.
            pub fn remedy(self) -> &'static str {
                match self {
                    $(Cause::$name => $remedy,)*
                }
            }
        }
    };
}

causes! {
    /// Host, path, proxy or server name cannot be used.
    AddressUnusable "address_unusable" OurSettings
        "Correct the link's address: wss://FQDN:8445 or ws://FQDN:8081, and the server name or proxy if there is one.",
    CaUnusable "ca_unusable" OurSettings
        "Paste the authority's certificate in PEM form. System Manager: Services > Security > Certificates > Authority > \
         Public Web > Fetch CA Certificates > Download as PEM.",
    ClientCertificateUnusable "client_certificate_unusable" OurSettings
        "Give the client certificate, its intermediates and its private key (not encrypted) in PEM form.",
    ClientCertificateExpiresSoon "client_certificate_expires_soon" OurSettings
        "Have a new client certificate issued and give it to the link before the old one ends.",
    NoSystemRoots "no_system_roots" OurSettings
        "Install the system's CA bundle (ca-certificates) where CCM runs, or give the link a private authority.",

    DnsUnknown "dns_unknown" Dns
        "Check the spelling of the host name, and that public DNS (or the DNS of this network) knows it.",
    /// By the operator's rule about private networks.
    AddressNotAllowed "address_not_allowed" OurSettings
        "Give the public address of the session border controller, or have the operator of the platform allow the network that \
         it is in (egress.private_networks).",
    DnsSilent "dns_silent" Dns "Check that this network's DNS servers are up and reachable.",
    PortClosed "port_closed" ReverseProxy
        "Session border controller: DMZ Services > Relay > Reverse Proxy must have a service that is enabled with this listen \
         IP and listen port (8445 or 8081). Without one in between: check that AACC's services run.",
    FirewallDrops "firewall_drops" Firewall
        "Open the port (8445 for wss, 8081 for ws) for our source addresses on the firewall before the session border \
         controller, and check that the address is the public one.",
    NoRoute "no_route" Firewall "Check the address: no network on the way knows it. A private address needs a VPN.",
    WrongPortForSecurityLevel "wrong_port_for_security_level" OurSettings
        "Make address and security level agree: wss on 8445 for Security On, ws on 8081 for Security Off (AACC Security \
         Manager > Security Configuration > Web Services Security Level), with the same protocol as listen protocol of the \
         session border controller's reverse proxy.",
    SourceNotWhitelisted "source_not_whitelisted" ReverseProxy
        "Session border controller: DMZ Services > Relay > Reverse Proxy > the service > Whitelisted IPs must hold all of our \
         source addresses (five fit), or none at all. Check DMZ Services > Firewall and the firewall before it too.",
    PeerSilent "peer_silent" Aacc
        "Connections are taken and nobody answers: check the services in AACC's System Control and Monitor Utility (CCMM tab), \
         and the load of the session border controller.",

    ProxyUnreachable "proxy_unreachable" EgressProxy "Check the proxy's host and port, and that it is up and lets us in.",
    ProxyCredentials "proxy_credentials" EgressProxy
        "Give the link the proxy's user and password (Basic authentication).",
    ProxyRefuses "proxy_refuses" EgressProxy "Have the proxy allow CONNECT to the link's host and port.",
    ProxyCannotReach "proxy_cannot_reach" EgressProxy
        "Check the link's host and port, the proxy's DNS, and that the firewall lets the proxy's address in.",

    NotTls "not_tls" ReverseProxy
        "Check the port, and that the listen protocol of the session border controller's reverse proxy is HTTPS.",
    TlsVersionTooOld "tls_version_too_old" ReverseProxy
        "Switch TLS 1.2 on: TLS Management > Server Profiles at the session border controller; where AACC is dialled directly, \
         Security Manager > Security Configuration > TLSv1 Protocol Level Settings.",
    NoCommonCipher "no_common_cipher" ReverseProxy
        "Allow an ECDHE suite with AES-GCM or ChaCha20 in TLS Management > Server Profiles of the session border controller.",
    PrivateCaMissing "private_ca_missing" OurSettings
        "Give the link the certificate of the authority that is named here. System Manager: Services > Security > Certificates > \
         Authority > Public Web > Fetch CA Certificates > Download as PEM.",
    IntermediateMissing "intermediate_missing" ReverseProxy
        "Have the intermediate certificate sent: TLS Management > Certificates > Install > Trust Chain File at the session \
         border controller. Until then it can stand beside the root in the link's authorities.",
    SelfSigned "self_signed" ReverseProxy
        "Have a certificate of a public or private authority installed and selected in the listen TLS profile, or give the \
         link this very certificate as its authority if it is the right one.",
    CertificateExpired "certificate_expired" ReverseProxy
        "Renew the certificate and select it in the listen TLS profile (TLS Management > Certificates, Server Profiles), or \
         in AACC's Security Manager where AACC is dialled directly.",
    CertificateNotYetValid "certificate_not_yet_valid" ReverseProxy
        "Check the clocks of both sides; else have the certificate issued anew.",
    CertificateExpiresSoon "certificate_expires_soon" ReverseProxy
        "Renew the certificate before it ends; chats that are up go on, new ones will be refused.",
    CertificateUnusable "certificate_unusable" ReverseProxy
        "Have the certificate issued anew, for server authentication and with a subject alternative name.",
    WrongName "wrong_name" ReverseProxy
        "Use one of the certificate's names as the link's host or server name, or have it issued anew with this name as a \
         subject alternative name.",
    NameUnknown "name_unknown" OurSettings
        "Correct the link's server name, or the listen domain of the session border controller's reverse proxy.",
    ClientCertificateWanted "client_certificate_wanted" ReverseProxy
        "Give the link a client certificate that the peer trusts, or set Peer Verification of its TLS server profile to None \
         or Optional (TLS Management > Server Profiles).",
    ClientCertificateRefused "client_certificate_refused" ReverseProxy
        "Add the authority of our client certificate to Peer Certificate Authorities of the TLS server profile, or give the \
         link one that is trusted there and valid.",
    TlsRefused "tls_refused" ReverseProxy
        "Check versions, ciphers and Peer Verification of the TLS server profile (TLS Management > Server Profiles).",

    AllowWebsocketUnticked "allow_websocket_unticked" ReverseProxy
        "Tick Allow Web Socket in the reverse proxy policy of the service: Configuration Profiles > Reverse Proxy Policy. If it is \
         ticked, see that the service uses that policy, and that Whitelisted URL beside its server address is empty or lets \
         /CustomerControllerWeb/chat through.",
    UpgradeBlocked "upgrade_blocked" Firewall
        "A firewall, intrusion prevention or load balancer on the way ends WebSocket upgrades while it lets HTTP through: except \
         this port from inspection, and tick Allow Web Socket in the reverse proxy policy.",
    WrongPath "wrong_path" OurSettings
        "Use the path /CustomerControllerWeb/chat, or correct Rewrite URL and URL Replace of the session border controller's \
         reverse proxy.",
    EwcNotEnabled "ewc_not_enabled" Aacc
        "Tick Enable Enterprise Web Chat: CCMM Administration > Web Comms > Config (it needs its licence), and check EWC Web \
         Applications port there; then the CCMM services in System Control and Monitor Utility.",
    AaccDownBehindProxy "aacc_down_behind_proxy" Aacc
        "Check that AACC's services run (System Control and Monitor Utility, CCMM tab), and that Server Addresses and Server \
         Protocol of the session border controller's reverse proxy are AACC's: HTTPS 8445 or HTTP 8081.",
    LoginInFront "login_in_front" ReverseProxy
        "Take the login (or portal) in front of this address away for our source addresses: EWC has its own session keys.",
    RateLimited "rate_limited" ReverseProxy
        "Raise Max Simultaneous Connections and Average Request Rate per client, or untick Enable Rate Limiting: Configuration \
         Profiles > Reverse Proxy Policy. All chats come from few addresses and each is a connection of its own.",
    BodyLimitTooSmall "body_limit_too_small" ReverseProxy
        "Set Request Max Body Size to 5 MB: Configuration Profiles > Reverse Proxy Policy; raise the frame limit of whatever else \
         stands in between.",
    UnexpectedAnswer "unexpected_answer" ReverseProxy
        "Look at the answer in the evidence: something else than AACC's chat answers at this address.",

    PingsUnanswered "pings_unanswered" Aacc
        "Check the CCMM services, and that nothing on the way holds frames back. Chats over such a link are taken for dead and \
         opened again and again.",
    ConnectionCut "connection_cut" ReverseProxy
        "Look for what closes open sockets: Server Read Timeout of the reverse proxy policy, idle timers of firewalls, restarts.",
    ReadTimeoutTooShort "read_timeout_too_short" ReverseProxy
        "Raise Server Read Timeout (60 seconds or more, the application notes have 300): Configuration Profiles > Reverse Proxy \
         Policy; and the idle timers of firewalls on the way.",
    ReadTimeoutUnmeasured "read_timeout_unmeasured" ReverseProxy
        "See that Server Read Timeout of the reverse proxy policy is well above the ping interval, or let the doctor watch an \
         idle socket (--watch-idle 70s).",
    Maintenance "maintenance" Aacc "Wait until the contact center is back, or ask its team; texts are held meanwhile.",

    QueueMetricsUnreachable "queue_metrics_unreachable" ReverseProxy
        "Let /CustomerControllerWeb/currentqueue through (Whitelisted URL of the reverse proxy). Chats work without; waiting \
         times and half-open probes do not.",
    QueueMetricsUnreadable "queue_metrics_unreadable" ReverseProxy
        "See that the reverse proxy passes /CustomerControllerWeb/currentqueue to AACC and not to a page of its own.",
    SkillsetUnknown "skillset_unknown" Aacc
        "Compare the name with Contact Center Manager > Configuration > CCMS > Skillsets (contact type Web_Communications, \
         prefix WC_), letter by letter.",
    NoAgents "no_agents" Aacc
        "Have an agent with this skillset log in at Agent Desktop; check the skillset's Route Point and Web Comms Office Hours in \
         CCMM Administration > General Administration > Skillset Settings.",
    QueueFull "queue_full" Aacc
        "Raise Max Concurrent Chats of the skillset (CCMM Administration > General Administration > Skillset Settings), or staff it.",

    ChatRefused "chat_refused" Aacc
        "Look at AACC's words in the evidence: a limit (Concurrent Chats Limit per Customer in Web Comms > Config, Max Concurrent \
         Chats of the skillset), office hours, or a skillset without Route Point (OpenQRoutePointAddress).",
    ChatUnanswered "chat_unanswered" Aacc
        "AACC takes the socket and answers no request for a chat: check the CCMM services and Enable Enterprise Web Chat.",
    TextRefused "text_refused" Aacc "Look at AACC's words in the evidence.",
    TextNotAcknowledged "text_not_acknowledged" Aacc
        "Check AACC's release: without acknowledgements CCM cannot tell which texts arrived. If it never sends any, set \
         connector.ack_timeout_ms to 0.",
    ResumeRefused "resume_refused" Aacc
        "Tick Chat session to survive a webpage refresh: CCMM Administration > Web Comms > Config > Enterprise Web Chat. Without \
         it every broken socket ends its chat.",
    TranscriptNotReplayed "transcript_not_replayed" Aacc
        "Tick Save Chat History (CCMM Administration > Web Comms > Config). What agents write while a socket is down is lost to the \
         customer without a replay.",
    ChatEnded "chat_ended" Aacc "Somebody or something ended the test chat; run it again.",
    ChatNotClosed "chat_not_closed" Aacc
        "End the chat of \"CCM link test\" at Agent Desktop if it still stands there; AACC ends it by itself after a while.",

    ForceIdleCheck "force_idle_check" Aacc
        "Raise Force Idle Customer Check Timeout or untick Force Idle Customer Check: CCMM Administration > Web Comms > Config.",
    /// The examination itself.
    OutOfTime "out_of_time" OurSettings
        "Look at the steps that were taken: the slow ones are the first to mend. Then examine the link again, with fewer skillsets \
         or a shorter wait.",
    NotEncrypted "not_encrypted" Aacc
        "Set Web Services Security Level to Security On (AACC Security Manager > Security Configuration) and use wss on 8445.",
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_in_snake_case() {
        let codes: HashSet<_> = Cause::ALL.iter().map(|cause| cause.code()).collect();
        assert_eq!(codes.len(), Cause::ALL.len());
        for code in codes {
            assert!(code.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{code}");
        }
        for cause in Cause::ALL {
            assert!(cause.remedy().ends_with(['.', ')']), "{cause:?}");
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.code());
        }
    }

    #[test]
    fn the_page_explains_every_cause() {
        let page = include_str!("../../../docs/link-doctor.md");
        for cause in Cause::ALL {
            let row = format!("| `{}` |", cause.code());
            assert!(page.contains(&row), "docs/link-doctor.md has no row {row}");
        }
        let causes = page.split("## Causes").nth(1).expect("the causes have a section");
        for row in causes.lines().filter_map(|line| line.strip_prefix("| `")) {
            let code = row.split('`').next().unwrap_or_default();
            let known = Cause::ALL.iter().any(|cause| cause.code() == code);
            assert!(known, "docs/link-doctor.md explains {code:?}, which is no cause");
        }
    }
}
