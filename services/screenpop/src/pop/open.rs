//! The exchange of a key, or of a signed link, for a page.

use super::{
    address::{Called, Given, Hint},
    dress::bare,
    page::Senders,
    stop::Stop,
};
use crate::Deps;
use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    extract::{RawQuery, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ccm_auth::{pop_link_key, read_pop_link, secure_random};
use ccm_db::{DbError, NewPop, OpenedWith, PopForm};
use ccm_model::{AuthKeyId, KeyUse, TenantId};
use ccm_numbers::Home;
use ccm_web::{KeyHolder, Rate, RequestId, WrongKeys, plus};
use std::{num::NonZeroU32, time::Duration};

/// How often a door opens, and how often it may be knocked at in vain. Each pod counts for itself. Cheap to clone.
#[derive(Clone)]
pub struct Doors {
    pub wrong: WrongKeys,
    pops: Rate<AuthKeyId>,
}

impl Default for Doors {
    fn default() -> Self {
        const A_MINUTE: NonZeroU32 = NonZeroU32::new(600).unwrap();
        const AT_ONCE: NonZeroU32 = NonZeroU32::new(200).unwrap();
        Self {
            wrong: WrongKeys::default(),
            pops: Rate::new(A_MINUTE, AT_ONCE),
        }
    }
}

/// Who opens a page, and with what.
struct Opener {
    tenant: TenantId,
    with: OpenedWith,
    given: Given,
}

/// `GET /` and `GET /scrpop/minpop.html`
pub async fn by_address(
    State(deps): State<Deps>,
    RawQuery(query): RawQuery,
    request: RequestId,
    parts: Parts,
) -> Response {
    let opened = open(&deps, query.as_deref().unwrap_or_default(), &parts).await;
    let result = opened.as_ref().map_or_else(Stop::as_str, |_| "opened");
    metrics::counter!("ccm_screenpop_opened_total", "result" => result).increment(1);
    match opened {
        Ok(token) => {
            let mut response = Redirect::to(&format!("/pop/{token}")).into_response();
            bare(response.headers_mut());
            response
        }
        Err(stop) => stop.page(&parts.headers, request),
    }
}

async fn open(deps: &Deps, query: &str, parts: &Parts) -> Result<String, Stop> {
    let given = url::form_urlencoded::parse(query.as_bytes());
    let given = Given(
        given
            .map(|(name, value)| (name.into_owned(), plus(&value)))
            .collect(),
    );
    let from = deps.proxies.caller(&parts.extensions, &parts.headers);
    let opener = match given.get("link") {
        Some(link) => by_link(deps, link).await,
        None => by_key(deps, given, parts).await,
    };
    let opener = match opener {
        // Nobody guesses 96 bits. A contact center shares one address: who has a good key is not held up by a page that has a wrong one.
        Err(stop @ (Stop::Key | Stop::Link(_))) => {
            let bounded = deps.doors.wrong.count(from);
            return Err(bounded.map_or_else(Stop::WrongKeys, |()| stop));
        }
        other => other?,
    };
    make(deps, opener).await
}

async fn by_key(deps: &Deps, given: Given, parts: &Parts) -> Result<Opener, Stop> {
    let admitted = KeyHolder::admit(given.get("auth"), parts, KeyUse::Screenpop, deps).await;
    let holder = admitted.map_err(|problem| match (problem.status(), problem.kind()) {
        (StatusCode::UNAUTHORIZED, _) => Stop::Key,
        (_, "wrong-network") => Stop::Network,
        (_, "wrong-use") => Stop::Use,
        (_, "suspended") => Stop::Suspended,
        _ => Stop::Problem(problem),
    })?;
    deps.doors.pops.take(&holder.key).map_err(Stop::Busy)?;
    Ok(Opener {
        tenant: holder.tenant,
        with: OpenedWith::Key(holder.key),
        given,
    })
}

async fn by_link(deps: &Deps, token: &str) -> Result<Opener, Stop> {
    let key = pop_link_key(token).map_err(Stop::Link)?;
    let owner = deps.db.operator().signing_key_owner(key).await?;
    let tenant = owner.ok_or(Stop::Link(ccm_auth::PopLinkError::Signature))?;
    let db = deps.db.tenant(tenant);
    let secret = db.signing_secret(key).await?;
    let link = read_pop_link(token, &secret, deps.ids.clock().now()).map_err(Stop::Link)?;
    if db.tenant().await?.state == "suspended" {
        return Err(Stop::Suspended);
    }
    let mut hashed = [0; 32];
    let id = format!("{key} {}", link.id);
    hashed.copy_from_slice(digest(&SHA256, id.as_bytes()).as_ref());
    Ok(Opener {
        tenant,
        with: OpenedWith::Link { key, link: hashed },
        given: Given(link.parameters.into_iter().collect()),
    })
}

/// Makes the page, and returns what its address has.
async fn make(deps: &Deps, opener: Opener) -> Result<String, Stop> {
    let db = deps.db.tenant(opener.tenant);
    let (settings, _) = db.settings::<ccm_model::ScreenpopSettings>().await?;
    let region = settings.region.as_deref();
    let (given, names) = (&opener.given, &settings.parameters);
    let mut claims = given.claims(names);
    let senders = Senders::of(&db).await?;
    let dialed = given.dialed();
    let dialed_is = dialed.and_then(|raw| senders.dialed(raw, region));
    claims.strange_sender = dialed.is_some() && dialed_is.is_none();
    let sender = senders
        .for_skillset(claims.skillset.as_deref(), &settings.senders)
        .or(dialed_is)
        .or_else(|| senders.first(claims.skillset.as_deref()))
        .ok_or(Stop::NoSender)?;
    let home = Home {
        region,
        ours: Some(&sender),
    };
    let (number, customer, hint) = match given.caller(names, home) {
        Ok(Called::Number(number)) => (number.as_str().to_owned(), Some(number), None),
        Ok(Called::Unclear(written)) => (written, None, Some(Hint::WhichCountry)),
        Err(hint) => (String::new(), None, Some(hint)),
    };
    claims.hint = hint;
    let mut secret = [0; 32];
    secure_random(&mut secret);
    let token = BASE64_URL_SAFE_NO_PAD.encode(secret);
    let now = deps.ids.clock().now();
    let form = PopForm {
        sender,
        number,
        body: String::new(),
        order: given.order(names),
    };
    let claims =
        serde_json::to_value(&claims).map_err(|error| Stop::Problem(ccm_web::Problem::internal(error)))?;
    let new = NewPop {
        id: deps.ids.next(),
        token_hash: &token_hash(&token),
        with: opener.with,
        claims: &claims,
        form: &form,
        customer: customer.as_ref(),
        next_message: deps.ids.next(),
        expires_at: now + Duration::from_secs(settings.session_s.into()),
    };
    match db.open_pop(&new, now).await {
        Ok(()) => Ok(token),
        Err(DbError::Conflict { missing: false, .. }) => Err(Stop::LinkUsed),
        // The signing key was deleted at this very moment.
        Err(DbError::Conflict { missing: true, .. }) => Err(Stop::Link(ccm_auth::PopLinkError::Signature)),
        Err(error) => Err(error.into()),
    }
}

/// What is kept of a page's address.
pub fn token_hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}
