//! What an agent's desktop does.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;

use super::problem::{Json, Path, Problem, Query};
use crate::book::Book;
use crate::desk::{OfferedFile, Page};
use crate::error::OpError;
use crate::shared::Shared;
use crate::views::{Agent, ChatState, ChatView, EndReason, Role};

type App = State<Arc<Shared>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    state: Option<ChatState>,
    customer: Option<String>,
}

/// `GET /control/chats`: without transcripts, oldest first.
pub(super) async fn list(State(shared): App, Query(filter): Query<Filter>) -> axum::Json<Vec<ChatView>> {
    let chats = shared.look(|book| {
        let chats = book.chats.values().filter(|c| {
            filter.state.is_none_or(|s| c.state == s)
                && filter.customer.as_ref().is_none_or(|n| c.customer == *n)
        });
        chats.map(|c| c.view(false)).collect()
    });
    axum::Json(chats)
}

/// `GET /control/chats/{guid}`: with the transcript as the agent's window shows it.
pub(super) async fn one(State(shared): App, Path(guid): Path<u64>) -> Result<axum::Json<ChatView>, Problem> {
    let chat = shared.look(|book| book.chats.get(&guid).map(|c| c.view(true)));
    Ok(axum::Json(chat.ok_or(OpError::NoSuchChat(guid))?))
}

/// Does something in a chat and shows the chat as it is then.
fn act(
    shared: &Arc<Shared>,
    guid: u64,
    action: impl FnOnce(&mut Book) -> Result<(), OpError>,
) -> Result<axum::Json<Option<ChatView>>, Problem> {
    let view = shared.with(|book| {
        action(book)?;
        Ok::<_, OpError>(book.chats.get(&guid).map(|c| c.view(false)))
    })?;
    Ok(axum::Json(view))
}

type Acted = Result<axum::Json<Option<ChatView>>, Problem>;

/// `POST …/join`.
pub(super) async fn join(State(shared): App, Path(guid): Path<u64>, Json(agent): Json<Agent>) -> Acted {
    act(&shared, guid, |book| book.join(guid, agent))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Say {
    agent_id: Option<String>,
    text: String,
    #[serde(default)]
    raw: bool,
}

/// `POST …/say`.
pub(super) async fn say(State(shared): App, Path(guid): Path<u64>, Json(say): Json<Say>) -> Acted {
    act(&shared, guid, |book| {
        book.say(guid, say.agent_id.as_deref(), &say.text, say.raw)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Typing {
    agent_id: Option<String>,
    typing: bool,
}

/// `POST …/typing`.
pub(super) async fn typing(State(shared): App, Path(guid): Path<u64>, Json(t): Json<Typing>) -> Acted {
    act(&shared, guid, |book| {
        book.typing(guid, t.agent_id.as_deref(), t.typing)
    })
}

#[derive(Deserialize)]
pub(super) struct Push {
    agent_id: Option<String>,
    #[serde(flatten)]
    page: Page,
}

/// `POST …/push`.
pub(super) async fn push(State(shared): App, Path(guid): Path<u64>, Json(push): Json<Push>) -> Acted {
    act(&shared, guid, |book| {
        book.push_page(guid, push.agent_id.as_deref(), push.page)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Leave {
    agent_id: Option<String>,
    end_chat: bool,
    reason: Option<String>,
}

/// `POST …/leave`.
pub(super) async fn leave(State(shared): App, Path(guid): Path<u64>, Json(leave): Json<Leave>) -> Acted {
    act(&shared, guid, |book| {
        book.leave(
            guid,
            leave.agent_id.as_deref(),
            leave.end_chat,
            leave.reason.as_deref(),
            EndReason::Agent,
        )
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Transfer {
    agent_id: Option<String>,
    to: Option<Agent>,
}

/// `POST …/transfer`.
pub(super) async fn transfer(State(shared): App, Path(guid): Path<u64>, Json(t): Json<Transfer>) -> Acted {
    act(&shared, guid, |book| {
        book.transfer(guid, t.agent_id.as_deref(), t.to)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Requeue {
    skillset: Option<String>,
}

/// `POST …/requeue`.
pub(super) async fn requeue(State(shared): App, Path(guid): Path<u64>, Json(r): Json<Requeue>) -> Acted {
    act(&shared, guid, |book| book.requeue(guid, r.skillset))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleChange {
    agent_id: Option<String>,
    role: Role,
}

/// `POST …/role`.
pub(super) async fn role(State(shared): App, Path(guid): Path<u64>, Json(r): Json<RoleChange>) -> Acted {
    act(&shared, guid, |book| {
        book.change_role(guid, r.agent_id.as_deref(), r.role)
    })
}

#[derive(Deserialize)]
pub(super) struct Offer {
    agent_id: Option<String>,
    #[serde(flatten)]
    file: OfferedFile,
}

/// `POST …/file`.
pub(super) async fn file(State(shared): App, Path(guid): Path<u64>, Json(offer): Json<Offer>) -> Acted {
    act(&shared, guid, |book| {
        book.send_file(guid, offer.agent_id.as_deref(), offer.file)
    })
}

/// `POST …/route-cancel`.
pub(super) async fn route_cancel(State(shared): App, Path(guid): Path<u64>) -> Acted {
    act(&shared, guid, |book| book.route_cancel(guid))
}

/// `POST …/read`.
pub(super) async fn read(State(shared): App, Path(guid): Path<u64>) -> Acted {
    act(&shared, guid, |book| book.read(guid))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Frame {
    text: String,
}

/// `POST …/frame`.
pub(super) async fn frame(State(shared): App, Path(guid): Path<u64>, Json(frame): Json<Frame>) -> Acted {
    act(&shared, guid, |book| book.send_frame(guid, frame.text))
}
