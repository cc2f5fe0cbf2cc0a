//! The page: a phone on the left, an agent's desktop on the right, and the simulators' control APIs under the same origin.

use crate::{World, script::CUSTOMER};
use anyhow::{Context, Result};
use axum::{
    Json, Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{
        IntoResponse, Redirect,
        sse::{self, KeepAlive, Sse},
    },
    routing::get,
};
use ccm_testkit::stack::AdminClient;
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{convert::Infallible, net::Ipv4Addr, sync::Arc};
use tokio::{net::TcpListener, sync::broadcast::error::RecvError};

const HTML: &str = include_str!("page/index.html");
const CSS: &str = include_str!("page/demo.css");
/// In the order in which the page runs them.
const JS: [&str; 4] = [
    include_str!("page/common.js"),
    include_str!("page/phone.js"),
    include_str!("page/desk.js"),
    include_str!("page/start.js"),
];
/// Nothing from elsewhere, nothing inline: a text that were taken for markup could still do nothing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page of a world, on its own port of 127.0.0.1. It asks for no password.
#[derive(Debug)]
pub struct Page {
    listener: TcpListener,
    app: Router,
    url: String,
}

struct Shown {
    admin: AdminClient,
    carrier: ccm_carrier_sim::Sim,
    aacc: ccm_aacc_sim::Sim,
    tenant: String,
    number: String,
    skillset: &'static str,
    /// The page that a voice call opens in Agent Desktop, without the call.
    pop: String,
}

impl Page {
    /// Takes the port; 0 takes a free one.
    pub async fn bind(world: &World, port: u16) -> Result<Self> {
        let tenant = world.tenants.first().context("the demo has no tenant")?;
        let shown = Arc::new(Shown {
            admin: world.admin.clone(),
            carrier: world.carrier.clone(),
            aacc: tenant.aacc.clone(),
            tenant: tenant.made.id.clone(),
            number: tenant.number.clone(),
            skillset: crate::world::SKILLSET,
            pop: format!(
                "{}/?auth={}",
                world.stack.address("screenpop")?,
                tenant.made.auth_key
            ),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.with_context(|| {
            format!("port {port} of 127.0.0.1 cannot be had; name another with --port, or none at all")
        })?;
        let url = format!("http://{}/", listener.local_addr()?);
        let app = Router::new()
            .route("/", get(html))
            .route(
                "/demo.css",
                get(async || ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], CSS)),
            )
            .route("/demo.js", get(js))
            .route("/demo/about", get(about))
            .route("/demo/screenpop", get(screenpop))
            .route("/demo/console", get(console))
            .route("/demo/events", get(events))
            .route("/demo/store", get(store))
            .with_state(shown)
            .nest("/sim/phone", world.carrier.control_router())
            .nest("/sim/aacc", tenant.aacc.control_router());
        Ok(Self { listener, app, url })
    }

    /// Its address, like `http://127.0.0.1:40123/`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Serves until dropped.
    pub async fn serve(self) -> Result<()> {
        axum::serve(self.listener, self.app)
            .await
            .context("serving the page")
    }
}

async fn html() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, HTML)
}

async fn js() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")],
        JS.concat(),
    )
}

/// What the page shows before anything happens.
async fn about(State(shown): State<Arc<Shown>>) -> Json<Value> {
    Json(json!({
        "customer": CUSTOMER,
        "number": shown.number,
        "skillset": shown.skillset,
        "link": shown.aacc.chat_url(),
    }))
}

/// A voice call of the customer's: what Agent Desktop would open, at the address that customers have configured.
async fn screenpop(State(shown): State<Arc<Shown>>) -> Redirect {
    let digits = |number: &str| number.trim_start_matches('+').to_owned();
    let (ours, caller) = (digits(&shown.number), digits(CUSTOMER));
    Redirect::to(&format!(
        "{}&dialed={ours}&dest={caller}&agent=Russell",
        shown.pop
    ))
}

/// The console, signed in as the demo's platform-admin: a browser's cookies are a host's, whatever the port.
async fn console(State(shown): State<Arc<Shown>>) -> Result<impl IntoResponse, (StatusCode, String)> {
    let made = shown.admin.post("/sessions", &json!({})).await;
    let made = made.map_err(|error| (StatusCode::BAD_GATEWAY, format!("{error:#}")))?;
    let key = made["key"].as_str().unwrap_or_default();
    let cookie = format!("ccm_session={key}; Path=/; HttpOnly; SameSite=Lax");
    let to = format!("{}/console/tenants/{}", shown.admin.base(), shown.tenant);
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&to)))
}

/// Both simulators' events in one stream: a browser opens six connections to an origin, so two streams a tab would end
/// with the third tab. `phone` and `desk` carry an event, `lagged` says that some are missing.
async fn events(State(shown): State<Arc<Shown>>) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let phone = stream::unfold(shown.carrier.events(), |mut events| async move {
        let event = match events.recv().await {
            Ok(event) => named("phone", &event),
            Err(RecvError::Lagged(_)) => sse::Event::default().event("lagged").data("{}"),
            Err(RecvError::Closed) => return None,
        };
        Some((event, events))
    });
    let desk = shown.aacc.events().map(|event| named("desk", &event));
    Sse::new(stream::select(phone, desk).map(Ok)).keep_alive(KeepAlive::default())
}

fn named(name: &str, event: &impl serde::Serialize) -> sse::Event {
    let data = serde_json::to_string(event).unwrap_or_default();
    sse::Event::default().event(name).data(data)
}

#[derive(Deserialize)]
struct Whose {
    customer: String,
}

/// What CCM has stored of a customer's newest conversations, as its admin API says it: without texts, the states.
async fn store(State(shown): State<Arc<Shown>>, Query(whose): Query<Whose>) -> Result<Json<Value>, Failed> {
    let customer = whose.customer.replace('+', "%2B");
    if !customer.chars().all(|c| c.is_ascii_alphanumeric() || c == '%') {
        return Err(Failed(
            StatusCode::BAD_REQUEST,
            anyhow::anyhow!("this is no phone number"),
        ));
    }
    let read = async || {
        let all = format!("/tenants/{}/conversations", shown.tenant);
        // A text right after the end of a chat opens a second conversation.
        let page = shown
            .admin
            .get(&format!("{all}?customer={customer}&limit=2"))
            .await?;
        let mut conversations = Vec::new();
        for conversation in page["items"].as_array().context("no items")? {
            let id = conversation["id"].as_str().context("no id")?;
            let (mut texts, mut after) = (Vec::new(), Some(0));
            while let Some(seq) = after {
                let path = format!("{all}/{id}/messages?after={seq}&limit=200");
                let page = shown.admin.get(&path).await?;
                let items = page["items"].as_array().context("no items")?;
                texts.extend(items.iter().map(state_of_text));
                after = page["next_after"].as_i64();
            }
            conversations.push(json!({ "id": id, "state": conversation["state"], "texts": texts }));
        }
        anyhow::Ok(json!(conversations))
    };
    read()
        .await
        .map(Json)
        .map_err(|e| Failed(StatusCode::BAD_GATEWAY, e))
}

fn state_of_text(text: &Value) -> Value {
    let mut state = serde_json::Map::new();
    for field in [
        "direction",
        "seq",
        "state",
        "attempts",
        "resends",
        "provider_message_id",
        "error_code",
        "created_at",
        "updated_at",
    ] {
        state.insert(field.to_owned(), text[field].clone());
    }
    state.into()
}

struct Failed(StatusCode, anyhow::Error);

impl IntoResponse for Failed {
    fn into_response(self) -> axum::response::Response {
        let body = json!({ "title": "the store could not be read", "detail": format!("{:#}", self.1) });
        (self.0, Json(body)).into_response()
    }
}
