//! Whole chats over real sockets.

use std::time::Duration;

use ccm_ewc_client::{Chat, ConnectRate, Link, LinkConfig};
use ccm_ewc_proto::frame::*;
use ccm_ewc_proto::session::*;
use tokio::time::Instant;

use crate::peer::*;

/// A chat with an agent in and one text delivered.
async fn live(peer: &Peer) -> (Owner, Conn) {
    let mut owner = Owner::start(peer.link(), Login::New);
    let (mut conn, login) = peer.login().await;
    assert_eq!((login.guid, login.authentication_key), (None, None));
    conn.accept_chat(62).await;
    conn.agent_joins().await;
    owner.text(1);
    assert_eq!(conn.text().await, "text 1");
    owner.until(|e| *e == Event::TextDelivered { token: 1 }).await;
    (owner, conn)
}

async fn whole_conversation(peer: Peer) {
    let mut owner = Owner::start(peer.link(), Login::New);
    owner.text(1);
    owner.text(2);
    let (mut conn, _) = peer.login().await;
    conn.accept_chat(62).await;
    owner
        .until(|e| matches!(e, Event::ChatOpened { guid, .. } if *guid == Guid::number(62)))
        .await;
    conn.agent_joins().await;
    assert_eq!(conn.text().await, "text 1", "held until the agent came, in order");
    assert_eq!(conn.text().await, "text 2");
    conn.say("1 &lt; 2").await;
    let events = owner
        .until(|e| matches!(e, Event::AgentText { text, .. } if *text == "1 &lt; 2"))
        .await;
    assert!(events.contains(&Event::TextDelivered { token: 2 }));
    let long = "ü😀".repeat(50_000);
    conn.say(&long).await;
    owner
        .until(|e| matches!(e, Event::AgentText { text, .. } if *text == *long))
        .await;
    owner.leave();
    assert_eq!(conn.recv().await, ClientFrame::CloseConversation);
    conn.send(ServerFrame::CloseConversation { result: true }).await;
    assert_eq!(conn.closed().await, 1000);
    owner
        .until(|e| *e == Event::Closed(CloseReason::ClosedByCustomer))
        .await;
}

#[tokio::test]
async fn a_conversation_over_ws() {
    whole_conversation(Peer::ws().await).await;
}

#[tokio::test]
async fn a_conversation_over_wss_with_a_private_ca() {
    whole_conversation(Peer::wss().await).await;
}

/// However the link breaks, with a text in flight: the same chat goes on, the text is sent again after it was in doubt.
async fn survives(peer: Peer, break_it: impl AsyncFn(Conn) -> Option<Conn>) {
    let (mut owner, mut conn) = live(&peer).await;
    for round in 2..6 {
        owner.text(round);
        owner.text(round + 100);
        assert_eq!(conn.text_unanswered().await, format!("text {round}"));
        let kept = break_it(conn).await;
        let (mut again, login) = peer.login().await;
        assert_eq!(login.guid, Some(Guid::number(62)));
        assert_eq!(login.authentication_key, Some(AuthKey::new("key 62")));
        assert!(login.request_transcript);
        again.accept_chat(62).await;
        assert_eq!(
            again.text().await,
            format!("text {round}"),
            "again, for AACC may not have it"
        );
        assert_eq!(again.text().await, format!("text {}", round + 100));
        let events = owner
            .until(|e| *e == Event::TextDelivered { token: round + 100 })
            .await;
        let doubt = events
            .iter()
            .position(|e| *e == Event::TextInDoubt { token: round });
        let resumed = events.iter().position(|e| *e == Event::Resumed { rekeyed: None });
        assert!(doubt.is_some() && doubt < resumed, "{events:?}");
        assert!(!events.contains(&Event::SessionExpired));
        drop(kept);
        conn = again;
    }
}

#[tokio::test]
async fn survives_close_1001() {
    survives(Peer::ws().await, async |conn| {
        conn.close(1001).await;
        None
    })
    .await;
}

#[tokio::test]
async fn survives_resets() {
    survives(Peer::ws().await, async |conn| {
        conn.reset();
        None
    })
    .await;
}

#[tokio::test]
async fn survives_resets_under_tls() {
    survives(Peer::wss().await, async |conn| {
        conn.reset();
        None
    })
    .await;
}

#[tokio::test]
async fn survives_black_holes() {
    // The socket stays open, nobody reads it or answers.
    survives(Peer::ws().await, async |conn| Some(conn)).await;
}

#[tokio::test]
async fn survives_black_holes_under_tls() {
    survives(Peer::wss().await, async |conn| Some(conn)).await;
}

#[tokio::test]
async fn an_expired_session_becomes_a_new_chat_and_held_texts_arrive_in_order() {
    let peer = Peer::wss().await;
    let (mut owner, conn) = live(&peer).await;
    conn.reset();
    owner.until(|e| matches!(e, Event::LinkLost { .. })).await;
    for token in 2..6 {
        owner.text(token);
    }
    let (mut conn, login) = peer.login().await;
    assert_eq!(login.guid, Some(Guid::number(62)));
    conn.expire().await;
    let ClientFrame::RequestChat(login) = conn.recv().await else {
        panic!("no login on the same socket")
    };
    assert_eq!(login.guid, None);
    conn.accept_chat(63).await;
    conn.agent_joins().await;
    for token in 2..6 {
        assert_eq!(conn.text().await, format!("text {token}"));
    }
    let events = owner.until(|e| *e == Event::TextDelivered { token: 5 }).await;
    assert!(events.contains(&Event::SessionExpired));
    assert!(events.contains(&Event::ChatOpened {
        guid: Guid::number(63),
        key: AuthKey::new("key 63")
    }));
}

#[tokio::test]
async fn close_1000_ends_the_chat() {
    let peer = Peer::ws().await;
    let (mut owner, conn) = live(&peer).await;
    conn.close(1000).await;
    owner
        .until(|e| *e == Event::Closed(CloseReason::FarSideEnded))
        .await;
}

#[tokio::test]
async fn what_was_said_before_a_reset_is_heard() {
    let peer = Peer::ws().await;
    let (mut owner, mut conn) = live(&peer).await;
    conn.say("last words").await;
    conn.close(1001).await;
    let events = owner.until(|e| matches!(e, Event::LinkLost { .. })).await;
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::AgentText { text, .. } if *text == "last words"))
    );
}

#[tokio::test]
async fn a_handed_over_chat_goes_on_in_another_session() {
    let peer = Peer::ws().await;
    let (mut owner, mut conn) = live(&peer).await;
    owner.detach();
    assert_eq!(conn.closed().await, 1001, "and no closeConversation before");
    owner.until(|e| *e == Event::Closed(CloseReason::Detached)).await;
    let login = Login::Resume {
        guid: Guid::number(62),
        key: AuthKey::new("key 62"),
        agent_present: true,
    };
    let owner = Owner::start(peer.link(), login);
    owner.text(2);
    let (mut conn, login) = peer.login().await;
    assert_eq!(login.guid, Some(Guid::number(62)));
    conn.accept_chat(62).await;
    assert_eq!(conn.text().await, "text 2");
}

#[tokio::test]
async fn websocket_pings_are_answered_and_count_as_life() {
    use futures::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    let peer = Peer::ws().await;
    let _owner = Owner::start(peer.link(), Login::New);
    let mut ws = tokio_tungstenite::accept_async(peer.tcp().await).await.unwrap();
    let accepted =
        r#"{"type":"notification","body":{"method":"requestChat","guid":1,"authenticationKey":"k"}}"#;
    ws.send(Message::text(accepted)).await.unwrap();
    let start = Instant::now();
    let mut pongs = 0;
    // Five times the patience for silence: EWC's own pings are not answered.
    while start.elapsed() < 5 * config().pong_timeout {
        ws.send(Message::Ping("x".into())).await.unwrap();
        loop {
            match soon(ws.next()).await.expect("an open socket").unwrap() {
                Message::Pong(_) => break,
                Message::Text(_) => {}
                other => panic!("{other:?}"),
            }
        }
        pongs += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(pongs > 5);
}

#[tokio::test]
async fn a_link_that_comes_up_late_is_found_by_itself() {
    let peer = Peer::ws().await;
    let target = peer.target();
    drop(peer);
    // With a breaker that waits longer than this test.
    let link = Link::new(&target, None, ConnectRate::unlimited(), LinkConfig::default(), 7).unwrap();
    let mut chat = Chat::new(session(Login::New), link);
    for attempt in 1..=3 {
        assert_eq!(soon(chat.next()).await, Event::ConnectFailed { attempt });
        let error = chat.last_dial_error().expect("a reason");
        assert!(error.retryable() && !error.remedy().is_empty(), "{error}");
    }
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", target.port))
        .await
        .unwrap();
    let mut owner = Owner::of(chat);
    let (tcp, _) = soon(listener.accept()).await.unwrap();
    let ws = tokio_tungstenite::accept_async(tcp).await.unwrap();
    drop(ws);
    owner.until(|e| matches!(e, Event::LinkLost { .. })).await;
}

#[tokio::test]
async fn many_chats_dial_at_the_links_rate() {
    let peer = Peer::ws().await;
    let link = link(&peer.target(), None, ConnectRate::per_second(50.0));
    let start = Instant::now();
    let owners: Vec<_> = (0..26)
        .map(|_| Owner::of(Chat::new(session(Login::New), link.clone())))
        .collect();
    let mut conns = Vec::new();
    for guid in 0..26 {
        let (mut conn, _) = peer.login().await;
        conn.accept_chat(guid).await;
        conns.push(conn);
    }
    assert!(
        start.elapsed() >= Duration::from_millis(480),
        "{:?}",
        start.elapsed()
    );
    drop(owners);
}

#[tokio::test]
async fn a_chat_that_is_left_while_dialling_ends_and_stops_dialling() {
    let peer = Peer::ws().await;
    let mut chat = Chat::new(session(Login::New), peer.link());
    let waited = tokio::time::timeout(Duration::from_millis(50), chat.next()).await;
    assert!(waited.is_err(), "the peer does not answer the upgrade");
    let mut tcp = peer.tcp().await;
    chat.leave();
    assert_eq!(
        soon(chat.next()).await,
        Event::Closed(CloseReason::ClosedByCustomer)
    );
    let mut request = Vec::new();
    let end = soon(tokio::io::AsyncReadExt::read_to_end(&mut tcp, &mut request)).await;
    assert!(end.is_ok(), "the connection is gone while the chat still exists");
    drop(chat);
}
