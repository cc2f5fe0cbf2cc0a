//! One WebSocket: a small task between the wire and the book.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};

use crate::edge::OverLimit;
use crate::fault::Shape;
use crate::shared::Shared;
pub(crate) use crate::stream::Stream;

/// How long a closing socket waits for the other side's close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Which kept line a frame carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub guid: u64,
    pub line: usize,
    pub replay: bool,
}

/// What the book tells a socket.
pub(crate) enum Out {
    Frame {
        text: Utf8Bytes,
        mark: Option<Mark>,
        shape: Shape,
    },
    /// A frame that waits; those that wait keep their order.
    Later {
        text: Utf8Bytes,
        delay: Duration,
        shape: Shape,
    },
    Close(u16),
    Reset,
    BlackHole,
    HalfOpen,
    /// Nothing is read or written for so long.
    Freeze(Duration),
}

/// Makes dropping the stream a TCP reset.
pub(crate) fn reset_on_drop(tcp: &TcpStream) {
    let _ = tcp.set_zero_linger();
}

/// What the reverse proxy lets through at most.
pub(crate) const MOST_FRAME: usize = 5 << 20;

/// 4 KiB buffers, because there can be tens of thousands of sockets.
pub(crate) fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(4 << 10)
        .max_message_size(Some(MOST_FRAME))
        .max_frame_size(Some(MOST_FRAME))
}

/// Serves an open socket until either side ends it.
pub(crate) async fn serve(shared: Arc<Shared>, ws: WebSocketStream<Stream>) {
    let (out, orders) = mpsc::unbounded_channel();
    let no = shared.with(|book| book.add_socket(out));
    let mut socket = Open {
        shared,
        no,
        ws,
        orders,
        later: VecDeque::new(),
        cut_at: None,
        ping_at: None,
        pong_due: false,
    };
    socket.heard();
    socket.ping_later();
    let stop = socket.shared.stop.clone();
    let end = tokio::select! {
        end = socket.run() => end,
        // Out of a hole not even a close frame gets.
        () = stop.cancelled() => match socket.shared.look(|book| book.in_hole(socket.no)) {
            true => End::Gone,
            false => End::Close(1001),
        },
    };
    match end {
        End::Gone => {}
        End::Left { said_so } => socket.shared.with(|book| book.counts.left(said_so)),
        End::Close(code) => socket.close(code).await,
        End::Reset => reset_on_drop(socket.ws.get_ref().tcp()),
    }
    let (shared, no) = (socket.shared.clone(), socket.no);
    drop(socket);
    shared.with(|book| book.remove_socket(no));
}

enum End {
    Gone,
    /// The customer's side ended it, with a close frame or without.
    Left {
        said_so: bool,
    },
    Close(u16),
    Reset,
}

struct Open {
    shared: Arc<Shared>,
    no: u64,
    ws: WebSocketStream<Stream>,
    orders: mpsc::UnboundedReceiver<Out>,
    later: VecDeque<(Instant, Utf8Bytes, Shape)>,
    cut_at: Option<Instant>,
    ping_at: Option<Instant>,
    pong_due: bool,
}

impl Open {
    async fn run(&mut self) -> End {
        loop {
            let next_later = self.later.front().map(|(at, ..)| *at);
            let wake_at = [next_later, self.cut_at, self.ping_at]
                .into_iter()
                .flatten()
                .min();
            let step = tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => Err(End::Gone),
                },
                frame = self.ws.next() => self.take_in(frame),
                () = wake(wake_at) => self.on_time().await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn obey(&mut self, order: Out) -> Result<(), End> {
        match order {
            Out::Frame { text, mark, shape } => {
                self.send(text, shape).await?;
                if let Some(mark) = mark.filter(|_| !self.ws.get_ref().is_mute()) {
                    self.shared.with(|book| book.written(mark));
                }
                Ok(())
            }
            Out::Later { text, delay, shape } => {
                let due = Instant::now() + delay;
                let due = self.later.back().map_or(due, |(last, ..)| due.max(*last));
                self.later.push_back((due, text, shape));
                Ok(())
            }
            Out::Freeze(pause) => {
                sleep(pause).await;
                self.heard();
                Ok(())
            }
            Out::HalfOpen => {
                self.ws.get_mut().mute();
                Ok(())
            }
            Out::Close(code) => Err(End::Close(code)),
            Out::Reset => Err(End::Reset),
            Out::BlackHole => Err(self.black_hole().await),
        }
    }

    fn take_in(&mut self, frame: Option<Result<Message, Error>>) -> Result<(), End> {
        match frame {
            Some(Ok(Message::Text(text))) => {
                self.heard();
                match self.over_limit(text.len()) {
                    Some(end) => Err(end),
                    None => {
                        self.shared.receive(self.no, &text);
                        Ok(())
                    }
                }
            }
            Some(Ok(Message::Binary(_))) => {
                self.heard();
                self.malformed("binary_frame", "EWC frames are text frames");
                Ok(())
            }
            Some(Ok(Message::Close(_))) => Err(End::Left { said_so: true }),
            Some(Ok(other)) => {
                self.heard();
                self.pong_due &= !matches!(other, Message::Pong(_));
                Ok(())
            }
            Some(Err(Error::Capacity(_))) => {
                self.malformed("frame_size", "a frame of more than 5 MB");
                Err(End::Close(1009))
            }
            Some(Err(error)) => {
                if matches!(error, Error::Protocol(_) | Error::Utf8(_)) && !is_loss(&error) {
                    self.malformed("websocket", "the WebSocket protocol was broken");
                }
                Err(End::Left { said_so: false })
            }
            None => Err(End::Left { said_so: false }),
        }
    }

    async fn on_time(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.cut_at.is_some_and(|at| at <= now) {
            return Err(End::Reset);
        }
        if self.ping_at.is_some_and(|at| at <= now) {
            if std::mem::replace(&mut self.pong_due, true) {
                self.malformed("no_pong", "a WebSocket ping was not answered");
            }
            self.ping_later();
            self.ws.send(Message::Ping(Bytes::new())).await.map_err(lost)?;
        }
        while let Some((_, text, shape)) = self.later.pop_front_if(|(at, ..)| *at <= now) {
            self.shared.with(|book| book.ack_written(self.no));
            self.send(text, shape).await?;
        }
        Ok(())
    }

    /// Writes a text frame, whole or in fragments.
    async fn send(&mut self, text: Utf8Bytes, shape: Shape) -> Result<(), End> {
        self.ws.get_mut().narrow(shape);
        let most = shape.fragment as usize;
        let sent = if most == 0 || text.len() <= most {
            self.ws.send(Message::Text(text)).await
        } else {
            self.send_fragments(Bytes::from(text), most).await
        };
        sent.map_err(lost)
    }

    async fn send_fragments(&mut self, mut rest: Bytes, most: usize) -> Result<(), Error> {
        let mut kind = Data::Text;
        while !rest.is_empty() {
            let fragment = rest.split_to(rest.len().min(most));
            let frame = Frame::message(fragment, OpCode::Data(kind), rest.is_empty());
            self.ws.send(Message::Frame(frame)).await?;
            kind = Data::Continue;
        }
        Ok(())
    }

    fn malformed(&self, rule: &'static str, detail: &str) {
        self.shared
            .with(|book| book.malformed(Some(self.no), rule, detail));
    }

    fn ping_later(&mut self) {
        let every = self.shared.look(|book| book.settings.ws_ping_every);
        self.ping_at = every.map(|every| Instant::now() + every);
    }

    /// The other side sent something: it is not idle.
    fn heard(&mut self) {
        let cut_after = self.shared.look(|book| book.settings.cut_idle_after);
        self.cut_at = cut_after.map(|after| Instant::now() + after);
    }

    /// What the reverse proxy does to a frame of this size, if it is too large for it.
    fn over_limit(&self, bytes: usize) -> Option<End> {
        let limit = self.shared.look(|book| book.settings.edge.body_limit)?;
        (bytes > limit.bytes).then_some(match limit.over {
            OverLimit::Close => End::Close(1009),
            OverLimit::Reset => End::Reset,
        })
    }

    /// Neither reads nor writes until the socket is reset or taken away.
    async fn black_hole(&mut self) -> End {
        loop {
            match self.orders.recv().await {
                Some(Out::Reset) => return End::Reset,
                Some(Out::Close(_)) | None => return End::Gone,
                Some(
                    Out::Frame { .. } | Out::Later { .. } | Out::BlackHole | Out::HalfOpen | Out::Freeze(_),
                ) => {}
            }
        }
    }

    async fn close(&mut self, code: u16) {
        let frame = CloseFrame {
            code: CloseCode::from(code),
            reason: Utf8Bytes::default(),
        };
        let closing = async {
            if self.ws.close(Some(frame)).await.is_ok() {
                while let Some(Ok(frame)) = self.ws.next().await {
                    if let Message::Text(text) = frame {
                        self.shared.receive(self.no, &text);
                    }
                }
            }
        };
        let _ = timeout(CLOSE_WAIT, closing).await;
    }
}

/// A connection that went away without a close frame is a lost link, not a broken protocol.
fn is_loss(error: &Error) -> bool {
    use tokio_tungstenite::tungstenite::error::ProtocolError;
    matches!(
        error,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
    )
}

/// A write that fails can be the first to find that the customer's side is away.
fn lost(_: Error) -> End {
    End::Left { said_so: false }
}

async fn wake(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
