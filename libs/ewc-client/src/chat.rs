//! The driver of one chat: its session, its socket, its timer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ccm_ewc_proto::frame::Guid;
use ccm_ewc_proto::session::{Action, Event, NotReady, Phase, Session};
use futures::{Sink, SinkExt, Stream, StreamExt};
use tokio::time::{Instant, Sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_util::task::AbortOnDropHandle;

use crate::dial::WebSocket;
use crate::error::DialError;
use crate::link::{Link, Pass, Wait};

/// How long a closing socket may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// The close code that stands for "closed without a code" (RFC 6455, 7.4.1).
const NO_CODE: u16 = 1005;

/// One customer's chat. Whoever owns it calls [`Chat::next`] over and over, from one task; all the work of the socket
/// happens in there, so a chat whose `next` is not polled stands still.
///
/// Dropping it drops the socket without a word, as a crash would.
pub struct Chat {
    session: Session,
    link: Link,
    wire: Wire,
    /// Of the wire's socket, until the session has said what became of it.
    pass: Option<Pass>,
    /// Something may wait in the socket's write buffer.
    unflushed: bool,
    timer: Option<Pin<Box<Sleep>>>,
    last_error: Option<Box<DialError>>,
}

enum Wire {
    Down,
    /// In a task of its own: the future of a handshake is larger than all the rest of a chat, and a chat that stands still
    /// must not hold up the line.
    Dialing(Box<Dial>),
    Up(Box<WebSocket>),
}

struct Dial {
    /// Still in line.
    waits: Arc<AtomicBool>,
    task: AbortOnDropHandle<Result<(Box<WebSocket>, Pass), DialError>>,
}

impl Chat {
    /// A chat over `link`, which dials when the link lets it. Nothing happens before the first `next`.
    pub fn new(session: Session, link: Link) -> Self {
        Chat {
            session,
            link,
            wire: Wire::Down,
            pass: None,
            unflushed: false,
            timer: None,
            last_error: None,
        }
    }

    /// The next event. May be dropped at any point and called again: nothing is lost. Never returns after
    /// [`Event::Closed`].
    pub async fn next(&mut self) -> Event {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    pub fn phase(&self) -> Phase {
        self.session.phase()
    }

    pub fn guid(&self) -> Option<&Guid> {
        self.session.guid()
    }

    /// See [`Session::ready_for_text`].
    pub fn ready_for_text(&self) -> bool {
        self.session.ready_for_text()
    }

    /// See [`Session::text_in_flight`].
    pub fn text_in_flight(&self) -> bool {
        self.session.text_in_flight()
    }

    /// See [`Session::send_text`]. The frame goes out in the next call of `next`.
    pub fn send_text(&mut self, token: u64, text: &str) -> Result<(), NotReady> {
        self.session.send_text(token, text, now())
    }

    /// See [`Session::customer_typing`].
    pub fn customer_typing(&mut self) {
        self.session.customer_typing(now());
    }

    /// See [`Session::nothing_waits`].
    pub fn nothing_waits(&mut self, idle: bool) {
        self.session.nothing_waits(idle);
    }

    /// See [`Session::ask_queue_status`].
    pub fn ask_queue_status(&mut self) {
        self.session.ask_queue_status();
    }

    /// See [`Session::leave`]. `next` ends with [`Event::Closed`].
    pub fn leave(&mut self) {
        self.session.leave(now());
    }

    /// See [`Session::detach`]. `next` ends with [`Event::Closed`].
    pub fn detach(&mut self) {
        self.session.detach();
    }

    /// Why the last dial failed, until one succeeds.
    pub fn last_dial_error(&self) -> Option<&DialError> {
        self.last_error.as_deref()
    }

    /// What a chat that wants to dial waits for; `None` if it does not wait in the link's line.
    pub fn waiting_for(&self) -> Option<Wait> {
        match &self.wire {
            Wire::Dialing(dial) if dial.waits.load(Relaxed) => Some(self.link.why_waiting()),
            _ => None,
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            while let Some(action) = self.session.poll_action() {
                self.act(action);
            }
            if let Some(event) = self.session.poll_event() {
                self.report(&event);
                return Poll::Ready(event);
            }
            // What came in is taken before the time is looked at: an answer may have waited longer than its timeout.
            if self.poll_wire(cx).is_pending() {
                ready!(self.poll_timer(cx));
            }
        }
    }

    /// Tells the link how it serves.
    fn report(&mut self, event: &Event) {
        match event {
            Event::ChatOpened { .. } | Event::Resumed { .. } => {
                if let Some(pass) = &mut self.pass {
                    pass.got_in();
                }
            }
            Event::LinkLost { why } => {
                if let Some(pass) = self.pass.take() {
                    pass.lost(why);
                }
            }
            Event::Closed(_) => self.pass = None,
            _ => {}
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect => self.wire = Wire::Dialing(Box::new(self.dial())),
            Action::Send(frame) => self.write(frame),
            Action::Close { code } => {
                if let Wire::Up(socket) = std::mem::replace(&mut self.wire, Wire::Down) {
                    say_goodbye(socket, Some(code));
                }
            }
            Action::Drop => self.wire = Wire::Down,
        }
    }

    fn dial(&self) -> Dial {
        let waits = Arc::new(AtomicBool::new(true));
        let (link, waiting) = (self.link.clone(), waits.clone());
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let pass = link.admitted().await;
            waiting.store(false, Relaxed);
            // Boxed only now: thousands may wait to be admitted.
            Box::pin(dial(pass)).await
        }));
        Dial { waits, task }
    }

    fn write(&mut self, frame: String) {
        let Wire::Up(socket) = &mut self.wire else { return };
        self.unflushed = true;
        // That the socket broke is for the reading side to find: what the far side said before it went is still to be read.
        let _ = Pin::new(&mut **socket).start_send(Message::text(frame));
    }

    /// Ready if something happened on the wire.
    fn poll_wire(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.wire {
            Wire::Down => Poll::Pending,
            Wire::Dialing(dial) => {
                let dialled = ready!(Pin::new(&mut dial.task).poll(cx)).unwrap_or(Err(DialError::Stopped));
                match dialled {
                    Ok((socket, pass)) => {
                        self.wire = Wire::Up(socket);
                        self.pass = Some(pass);
                        self.unflushed = false;
                        self.last_error = None;
                        self.session.on_connected(now());
                    }
                    Err(error) => {
                        self.wire = Wire::Down;
                        self.last_error = Some(Box::new(error));
                        self.session.on_connect_failed(now());
                    }
                }
                Poll::Ready(())
            }
            Wire::Up(socket) => {
                if self.unflushed {
                    match Pin::new(&mut **socket).poll_flush(cx) {
                        Poll::Ready(Ok(())) => {
                            self.unflushed = false;
                            self.session.on_flushed();
                            return Poll::Ready(());
                        }
                        // As with `write`.
                        Poll::Ready(Err(_)) => self.unflushed = false,
                        Poll::Pending => {}
                    }
                }
                let message = ready!(Pin::new(&mut **socket).poll_next(cx));
                self.take(message.and_then(Result::ok));
                Poll::Ready(())
            }
        }
    }

    fn take(&mut self, message: Option<Message>) {
        match message {
            Some(Message::Text(text)) => self.session.on_frame(&text, now()),
            // Not of this protocol; a frame is a frame.
            Some(Message::Binary(bytes)) => self.session.on_frame(&String::from_utf8_lossy(&bytes), now()),
            Some(Message::Ping(_)) => {
                // The pong waits in the write buffer.
                self.unflushed = true;
                self.session.on_heard();
            }
            Some(Message::Pong(_) | Message::Frame(_)) => self.session.on_heard(),
            Some(Message::Close(frame)) => {
                if let Wire::Up(socket) = std::mem::replace(&mut self.wire, Wire::Down) {
                    say_goodbye(socket, None);
                }
                self.down(Some(frame.map_or(NO_CODE, |f| f.code.into())));
            }
            None => self.down(None),
        }
    }

    fn down(&mut self, code: Option<u16>) {
        self.wire = Wire::Down;
        self.session.on_disconnected(code, now());
    }

    /// Ready if the session's time has come.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.session.next_timeout().map(Instant::from_std) else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        ready!(timer.as_mut().poll(cx));
        self.session.on_timeout(now());
        Poll::Ready(())
    }
}

impl std::fmt::Debug for Chat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chat({:?}, {})", self.link, self.phase())
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Dials where the pass says, and tells the link if that fails: the chat may be looked at late.
async fn dial(mut pass: Pass) -> Result<(Box<WebSocket>, Pass), DialError> {
    match pass.dialer().dial().await {
        Ok(socket) => {
            pass.dialled();
            Ok((Box::new(socket.0), pass))
        }
        Err(error) => {
            pass.dial_failed(&error);
            Err(error)
        }
    }
}

/// Ends a socket: our close frame with `code` goes out at once, or the answer to the far side's; the rest of the goodbye
/// happens in the background.
fn say_goodbye(mut socket: Box<WebSocket>, code: Option<u16>) {
    if let Some(code) = code {
        let frame = CloseFrame {
            code: code.into(),
            reason: "".into(),
        };
        // A socket that cannot be written to is as good as closed.
        let _ = Pin::new(&mut *socket).start_send(Message::Close(Some(frame)));
    }
    tokio::spawn(timeout(GOODBYE, async move {
        // The far side closes the connection; what else it says is not heard any more.
        while socket.flush().await.is_ok() && matches!(socket.next().await, Some(Ok(_))) {}
    }));
}
