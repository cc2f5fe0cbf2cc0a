//! Requests with an `Idempotency-Key`: done once, however often they are sent.

use crate::Deps;
use axum::{
    body::{Body, HttpBody, to_bytes},
    extract::{FromRequest, FromRequestParts, MatchedPath, RawPathParams, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use ccm_auth::Bearer;
use ccm_db::{AccessDb, Begun, DbError, OnceRequest};
use ccm_model::TenantId;
use ccm_web::{Bytes, Caller, Problem};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tracing::Instrument;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const MAX_KEY_CHARS: usize = 255;
/// How long an answer is kept.
const KEPT: time::Duration = time::Duration::HOUR.saturating_mul(24);
/// How often those that are older are taken away.
const FORGET_EVERY: Duration = Duration::from_secs(600);
/// More than a request can take: one that was begun before and has not ended was cut off.
const ABANDONED: time::Duration = time::Duration::MINUTE;
/// Larger answers are not kept; no change is answered with so much.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// An answer, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// Takes away what is older than it need be, for ever.
pub(crate) async fn forget(deps: Deps) {
    let mut times = tokio::time::interval(FORGET_EVERY);
    loop {
        times.tick().await;
        let before = deps.ids.clock().now() - KEPT;
        if let Err(error) = deps.db.operator().forget_requests(before).await {
            tracing::warn!(%error, "old answers to requests with an Idempotency-Key could not be taken away");
        }
    }
}

/// Heeds the header on `POST` and `PATCH`; `PUT` and `DELETE` do the same thing when they are sent again.
///
/// Answers to what went well are kept: nothing was done for the others, and they may be sent again with the same key. The work goes on
/// when the caller goes away, so that the answer is there when the caller asks again.
pub(crate) async fn once(State(deps): State<Deps>, request: Request, next: Next) -> Response {
    let changes = matches!(*request.method(), Method::POST | Method::PATCH);
    let (Some(key), true) = (request.headers().get(KEY), changes) else {
        return next.run(request).await;
    };
    let Some(key) = usable(key) else {
        return Problem::invalid_field(
            "Idempotency-Key",
            "the key is not 1 to 255 visible ASCII characters",
        )
        .remedy("make one such as a UUID for each change, and send it again only with the same request")
        .into_response();
    };
    // Whoever is not known is told so by the handler.
    let Some(Caller {
        bearer: Ok(bearer), ..
    }) = request.extensions().get::<Caller>().cloned()
    else {
        return next.run(request).await;
    };
    let (mut parts, body) = request.into_parts();
    let Some(owner) = owner(&mut parts, &bearer).await.filter(|_| !only_answers(&parts)) else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    let Bytes(body) = match Bytes::from_request(Request::from_parts(parts.clone(), body), &()).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let asked = Asked {
        owner,
        fingerprint: fingerprint(&parts, &body),
        key,
        bearer,
    };
    let begun = asked.begin(&deps).await;
    match begun {
        Ok(Begun::New) => {
            let request = Request::from_parts(parts, Body::from(body));
            let work = async move { asked.work(&deps, next.run(request).await).await };
            let work = tokio::spawn(work.in_current_span());
            work.await
                .unwrap_or_else(|_| Problem::internal("the request's task ended early").into_response())
        }
        Ok(Begun::Running) => running(),
        Ok(Begun::Other) => other(),
        Ok(Begun::Done(kept)) => replayed(&kept),
        Err(error) => crate::answer::Failure::from(error).into_response(),
    }
}

/// Whose rows a request is about. `None`: of a tenant that its bearer has nothing to do with, as the handler will say.
async fn owner(parts: &mut Parts, bearer: &Bearer) -> Option<TenantId> {
    let params = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    let tenant = params.iter().find(|(name, _)| *name == "tenant");
    let Some((_, tenant)) = tenant else {
        return Some(bearer.tenant.unwrap_or(TenantId::PLATFORM));
    };
    let tenant = tenant.parse().ok()?;
    bearer.tenant.is_none_or(|own| own == tenant).then_some(tenant)
}

/// Requests that change nothing: their answers are not worth keeping, and hold texts.
fn only_answers(parts: &Parts) -> bool {
    let path = parts
        .extensions
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    path.ends_with("/text-check") || path.ends_with("/dry-run")
}

struct Asked {
    /// With whose rows the answer is kept: it goes with the tenant that the request is about.
    owner: TenantId,
    bearer: Bearer,
    key: String,
    fingerprint: [u8; 32],
}

impl Asked {
    fn access<'a>(&self, deps: &'a Deps) -> AccessDb<'a> {
        deps.db.access(self.owner)
    }

    async fn begin(&self, deps: &Deps) -> Result<Begun, DbError> {
        let sender = self.bearer.id();
        self.access(deps)
            .begin_once(self.once(&sender), deps.ids.clock().now(), ABANDONED)
            .await
    }

    fn once<'a>(&'a self, sender: &'a str) -> OnceRequest<'a> {
        OnceRequest {
            actor: sender,
            key: &self.key,
            fingerprint: &self.fingerprint,
        }
    }

    /// Keeps the answer, if it is one to keep.
    async fn work(&self, deps: &Deps, response: Response) -> Response {
        let sender = self.bearer.id();
        let (access, once) = (self.access(deps), self.once(&sender));
        let (response, kept) = match keep(response).await {
            Ok(kept) => kept,
            Err(problem) => (problem.into_response(), None),
        };
        let noted = match kept {
            Some(kept) => access.end_once(once, &kept).await,
            None => access.forget_once(once).await,
        };
        if let Err(error) = noted {
            // The change itself is done, and the answer is good.
            tracing::warn!(%error, "the answer to a request with an Idempotency-Key could not be kept");
        }
        response
    }
}

/// The response again, and what is to be kept of it.
async fn keep(response: Response) -> Result<(Response, Option<Vec<u8>>), Problem> {
    let streamed = !response.headers().contains_key(header::CONTENT_LENGTH)
        && response.body().size_hint().exact().is_none();
    if !response.status().is_success() || streamed {
        return Ok((response, None));
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_ANSWER_BYTES)
        .await
        .map_err(Problem::internal)?;
    let texts = parts.headers.iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    let kept = Kept {
        status: parts.status.as_u16(),
        headers: texts.collect(),
        body: BASE64_STANDARD.encode(&body),
    };
    let kept = serde_json::to_vec(&kept).map_err(Problem::internal)?;
    Ok((Response::from_parts(parts, Body::from(body)), Some(kept)))
}

fn replayed(kept: &[u8]) -> Response {
    let answer = || -> Option<Response> {
        let kept: Kept = serde_json::from_slice(kept).ok()?;
        let body = BASE64_STANDARD.decode(&kept.body).ok()?;
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(kept.status).ok()?;
        let mut headers = HeaderMap::new();
        for (name, value) in kept.headers {
            headers.append(
                HeaderName::try_from(name).ok()?,
                HeaderValue::try_from(value).ok()?,
            );
        }
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
        *response.headers_mut() = headers;
        Some(response)
    };
    answer().unwrap_or_else(|| Problem::internal("a kept answer cannot be read").into_response())
}

fn usable(key: &HeaderValue) -> Option<String> {
    let key = key.to_str().ok()?;
    let fits = (1..=MAX_KEY_CHARS).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| key.to_owned())
}

/// What makes it the same request.
fn fingerprint(parts: &Parts, body: &[u8]) -> [u8; 32] {
    let if_match = parts
        .headers
        .get(header::IF_MATCH)
        .map_or(&[][..], HeaderValue::as_bytes);
    let uri = parts.uri.to_string();
    let said: [&[u8]; 4] = [parts.method.as_str().as_bytes(), uri.as_bytes(), if_match, body];
    let mut all = Sha256::new();
    for part in said {
        all.update((part.len() as u64).to_be_bytes());
        all.update(part);
    }
    all.finalize().into()
}

fn running() -> Response {
    let problem =
        Problem::conflict("the same request, with the same Idempotency-Key, is being done at this moment")
            .field("Idempotency-Key")
            .remedy("wait a second and send it again: then you get its answer");
    ([(header::RETRY_AFTER, "1")], problem).into_response()
}

fn other() -> Response {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        "The Idempotency-Key belongs to another request",
    )
    .detail("this key came within the last 24 hours with another method, address or body")
    .field("Idempotency-Key")
    .remedy("send a new key with each new change")
    .into_response()
}
