//! Frames on an open socket without a chat: pings, large and small, and silence.

use std::time::Duration;

use ccm_ewc_client::{Received, Socket};
use ccm_ewc_proto::frame::{ClientFrame, ServerFrame};
use tokio::time::{Instant, timeout_at};

use crate::cause::Cause;
use crate::log::{Seen, shown};
use crate::plan::Plan;
use crate::report::Finding;
use crate::settings::judge_read_timeout;

/// No client pings faster.
pub(crate) const BETWEEN_PINGS: Duration = Duration::from_millis(1100);

/// What came in.
#[allow(clippy::large_enum_variant, reason = "one at a time, taken apart at once")]
pub(crate) enum Heard {
    Frame(ServerFrame),
    Closed(Option<u16>),
    Nothing,
}

/// The next frame that can be read, until `deadline`.
pub(crate) async fn hear(socket: &mut Socket, deadline: Instant) -> Heard {
    loop {
        match timeout_at(deadline, socket.receive()).await {
            Err(_) => return Heard::Nothing,
            Ok(Received::Closed(code)) => return Heard::Closed(code),
            Ok(Received::Text(text)) => {
                if let Ok(frame) = ServerFrame::parse(&text) {
                    return Heard::Frame(frame);
                }
            }
        }
    }
}

/// How a ping went.
pub(crate) enum Pong {
    After(Duration),
    /// Answered, but with an error.
    Refused(Duration),
    Closed(Option<u16>),
    Never,
}

/// Sends a ping of `size` bytes (or its natural size) and waits for its answer. `others` gets every other frame.
pub(crate) async fn ping(
    socket: &mut Socket,
    size: usize,
    patience: Duration,
    mut others: impl FnMut(ServerFrame),
) -> Pong {
    let mut frame = ClientFrame::Ping.encode();
    // White space behind the object is JSON too, and nobody's to object to.
    frame.extend(std::iter::repeat_n(' ', size.saturating_sub(frame.len())));
    let sent = Instant::now();
    if socket.send(frame).await.is_err() {
        // Why, is told by what came in.
        return match hear(socket, sent + patience).await {
            Heard::Closed(code) => Pong::Closed(code),
            _ => Pong::Closed(None),
        };
    }
    loop {
        match hear(socket, sent + patience).await {
            Heard::Frame(ServerFrame::Ping | ServerFrame::Pong) => return Pong::After(sent.elapsed()),
            Heard::Frame(ServerFrame::Error(error)) if is_about_ping(&error.method) => {
                return Pong::Refused(sent.elapsed());
            }
            Heard::Frame(other) => others(other),
            Heard::Closed(code) => return Pong::Closed(code),
            Heard::Nothing => return Pong::Never,
        }
    }
}

fn is_about_ping(method: &str) -> bool {
    method.eq_ignore_ascii_case("ping") || method.eq_ignore_ascii_case("error")
}

/// A ping before there is a chat. Silence is no failure here: not every AACC answers before `requestChat`.
pub(crate) async fn fresh_ping(socket: &mut Socket, plan: &Plan) -> (Seen, bool) {
    match ping(socket, 0, plan.ping_timeout, |_| {}).await {
        Pong::After(time) => (Seen::passed().fact("round trip", shown(time)), true),
        Pong::Refused(time) => (
            Seen::passed().fact("answered with an error after", shown(time)),
            true,
        ),
        Pong::Closed(code) => (
            Seen::failed(cut("while it waited for an answer to a ping", code)),
            false,
        ),
        Pong::Never => {
            let explanation = format!(
                "A ping on a fresh socket was not answered within {}. AACC may keep still before a chat is asked for: only \
                 the test chat shows whether it answers in one.",
                shown(plan.ping_timeout)
            );
            (
                Seen::warned(Finding::new(Cause::PingsUnanswered, explanation)),
                true,
            )
        }
    }
}

/// Whether a frame gets through that is as large as the largest text.
pub(crate) async fn large_frame(socket: &mut Socket, plan: &Plan) -> Seen {
    let size = plan.largest_frame;
    let too_large = |seen: &str| {
        Finding::new(
            Cause::BodyLimitTooSmall,
            format!("A frame of {size} bytes, as long texts make them, {seen}. Smaller ones get through."),
        )
    };
    let seen = match ping(socket, size, plan.ping_timeout, |_| {}).await {
        Pong::After(time) | Pong::Refused(time) => Seen::passed().fact("round trip", shown(time)),
        Pong::Closed(Some(1009)) => Seen::failed(too_large("was refused as too large (close code 1009)")),
        Pong::Closed(_) => Seen::failed(too_large("broke the connection")),
        Pong::Never => Seen::failed(too_large("was swallowed")),
    };
    seen.fact("bytes", size)
}

/// Keeps still until the socket is cut or the time is over.
pub(crate) async fn idle(mut socket: Socket, watch: Duration, ping_every: Duration) -> Seen {
    let began = Instant::now();
    loop {
        match hear(&mut socket, began + watch).await {
            Heard::Frame(_) => {}
            Heard::Nothing => {
                socket.close().await;
                return Seen::passed().fact("silent and still open after", shown(watch));
            }
            Heard::Closed(code) => {
                let after = began.elapsed();
                let seen = match judge_read_timeout(after, ping_every) {
                    Some((true, finding)) => Seen::failed(finding),
                    Some((false, finding)) => Seen::warned(finding),
                    None => Seen::passed(),
                };
                return seen.fact("cut after", shown(after)).fact("how", closed(code));
            }
        }
    }
}

pub(crate) fn cut(when: &str, code: Option<u16>) -> Finding {
    Finding::new(
        Cause::ConnectionCut,
        format!("The socket was cut {when}: {}.", closed(code)),
    )
}

pub(crate) fn closed(code: Option<u16>) -> String {
    match code {
        Some(code) => format!("closed with code {code}"),
        None => "broken without a close frame".to_owned(),
    }
}
