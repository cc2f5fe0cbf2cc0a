//! One WebSocket: a small task between the wire and the book.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::edge::OverLimit;
use crate::sim::Shared;
pub(crate) use crate::stream::Stream;

/// How long a closing socket waits for the other side's close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

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
    },
    /// A frame that waits; those that wait keep their order.
    Later {
        text: Utf8Bytes,
        delay: Duration,
    },
    Close(u16),
    Reset,
    BlackHole,
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
    };
    socket.heard();
    let stop = socket.shared.stop.clone();
    let end = tokio::select! {
        end = socket.run() => end,
        // Out of a black hole not even a close frame gets.
        () = stop.cancelled() => match socket.shared.look(|book| book.is_silent(socket.no)) {
            true => End::Gone,
            false => End::Close(1001),
        },
    };
    match end {
        End::Gone => {}
        End::Close(code) => socket.close(code).await,
        End::Reset => reset_on_drop(socket.ws.get_ref().tcp()),
    }
    let (shared, no) = (socket.shared.clone(), socket.no);
    drop(socket);
    shared.with(|book| book.remove_socket(no));
}

enum End {
    Gone,
    Close(u16),
    Reset,
}

struct Open {
    shared: Arc<Shared>,
    no: u64,
    ws: WebSocketStream<Stream>,
    orders: mpsc::UnboundedReceiver<Out>,
    later: VecDeque<(Instant, Utf8Bytes)>,
    cut_at: Option<Instant>,
}

impl Open {
    async fn run(&mut self) -> End {
        loop {
            let next_later = self.later.front().map(|(at, _)| *at);
            let wake_at = [next_later, self.cut_at].into_iter().flatten().min();
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(Out::Frame { text, mark }) => {
                        if self.ws.send(Message::Text(text)).await.is_err() {
                            return End::Gone;
                        }
                        if let Some(mark) = mark {
                            self.shared.with(|book| book.written(mark));
                        }
                    }
                    Some(Out::Later { text, delay }) => {
                        let due = Instant::now() + delay;
                        let due = self.later.back().map_or(due, |(last, _)| due.max(*last));
                        self.later.push_back((due, text));
                    }
                    Some(Out::Close(code)) => return End::Close(code),
                    Some(Out::Reset) => return End::Reset,
                    Some(Out::BlackHole) => return self.black_hole().await,
                    None => return End::Gone,
                },
                frame = self.ws.next() => match frame {
                    Some(Ok(Message::Text(text))) => {
                        self.heard();
                        if let Some(end) = self.over_limit(text.len()) {
                            return end;
                        }
                        self.shared.receive(self.no, &text);
                    }
                    Some(Ok(Message::Binary(_))) => {
                        self.heard();
                        self.shared.with(|b| b.malformed(Some(self.no), "binary_frame", "EWC frames are text frames"));
                    }
                    Some(Ok(_)) => self.heard(),
                    Some(Err(Error::Capacity(_))) => {
                        let detail = "a frame of more than 5 MB";
                        self.shared.with(|b| b.malformed(Some(self.no), "frame_size", detail));
                        return End::Close(1009);
                    }
                    Some(Err(error)) => {
                        if matches!(error, Error::Protocol(_) | Error::Utf8(_)) && !is_loss(&error) {
                            let detail = "the WebSocket protocol was broken";
                            self.shared.with(|b| b.malformed(Some(self.no), "websocket", detail));
                        }
                        return End::Gone;
                    }
                    None => return End::Gone,
                },
                () = wake(wake_at) => {
                    let now = Instant::now();
                    if self.cut_at.is_some_and(|at| at <= now) {
                        return End::Reset;
                    }
                    while let Some((_, text)) = self.later.pop_front_if(|(at, _)| *at <= now) {
                        self.shared.with(|book| book.ack_written(self.no));
                        if self.ws.send(Message::Text(text)).await.is_err() {
                            return End::Gone;
                        }
                    }
                }
            }
        }
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
                Some(Out::Frame { .. } | Out::Later { .. } | Out::BlackHole) => {}
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
                while let Some(Ok(_)) = self.ws.next().await {}
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

async fn wake(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
