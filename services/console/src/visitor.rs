//! Who has signed in, by the cookie of their browser.

use crate::{
    Console,
    api::{Ask, Who},
    show::Failed,
    sign_in,
};
use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
};
use secrecy::SecretString;
use serde_json::Value;
use std::{convert::Infallible, net::SocketAddr};

/// A browser, whoever sits before it.
pub struct Browser {
    pub who: Who,
}

/// Somebody who has signed in, and is still in.
pub struct Visitor {
    pub who: Who,
    /// What the API says of them.
    pub me: Value,
}

/// The cookie's name. Over TLS it is bound to this very host.
fn name(secure: bool, what: &str) -> String {
    match secure {
        true => format!("__Host-ccm_{what}"),
        false => format!("ccm_{what}"),
    }
}

/// A cookie that scripts do not see and other sites' forms do not bring. `None`: it is taken away.
pub fn set(console: &Console, what: &str, value: Option<&str>, seconds: i64) -> HeaderValue {
    let secure = console.is_secure();
    let (value, seconds) = (value.unwrap_or_default(), value.map_or(0, |_| seconds));
    let only = if secure { "; Secure" } else { "" };
    let name = name(secure, what);
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{only}");
    HeaderValue::from_str(&cookie).unwrap_or(HeaderValue::from_static(""))
}

/// A cookie's value.
pub fn get(console: &Console, headers: &HeaderMap, what: &str) -> Option<String> {
    let name = name(console.is_secure(), what);
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.flat_map(|line| line.to_str().unwrap_or_default().split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, value)| *found == name && !value.is_empty())
        .map(|(_, value)| value.to_owned())
}

/// The names of a browser's cookies that begin so, the oldest first as browsers send them.
pub fn names(console: &Console, headers: &HeaderMap, begin: &str) -> Vec<String> {
    let whole = name(console.is_secure(), begin);
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.flat_map(|line| line.to_str().unwrap_or_default().split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('=')?.0.strip_prefix(&whole))
        .map(|rest| format!("{begin}{rest}"))
        .collect()
}

impl FromRequestParts<Console> for Browser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let forwarded = parts.headers.get_all("x-forwarded-for").iter().cloned();
        let who = Who {
            key: get(console, &parts.headers, "session").map(SecretString::from),
            peer: peer.map(|ConnectInfo(peer)| *peer),
            forwarded: forwarded.collect(),
        };
        Ok(Self { who })
    }
}

impl FromRequestParts<Console> for Visitor {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Failed> {
        let Ok(Browser { who }) = Browser::from_request_parts(parts, console).await;
        // What a form was about to do is not done by coming back to it.
        let back = (parts.method == axum::http::Method::GET).then(|| parts.uri.to_string());
        Self::of(console, who, back.as_deref()).await
    }
}

impl Visitor {
    /// Whoever sits before the browser, if they are signed in; they come `back` after they have.
    pub async fn of(console: &Console, who: Who, back: Option<&str>) -> Result<Self, Failed> {
        if who.key.is_none() {
            return Err(Failed::NotSignedIn(sign_in::address(back, false)));
        }
        let me = console.api().ask(&who, Ask::get("/v1/me")).await;
        match me.status {
            StatusCode::OK => Ok(Self { who, me: me.json }),
            StatusCode::UNAUTHORIZED => Err(Failed::NotSignedIn(sign_in::address(back, true))),
            _ => Err(Failed::problem(me)),
        }
    }

    /// Who that is, whichever session they are in: the subject, and in which tenant.
    pub fn by(&self) -> String {
        let said = |name: &str| self.me[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}", said("tenant"), said("subject"))
    }
}
