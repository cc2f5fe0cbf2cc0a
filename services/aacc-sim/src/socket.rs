//! One WebSocket: a small task between the wire and the book.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::sim::Shared;

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

/// The server's end of a connection to the EWC port.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Stream::Tls(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Stream::Tls(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_flush(cx),
            Stream::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Stream::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}

/// Makes dropping the stream a TCP reset.
pub(crate) fn reset_on_drop(tcp: &TcpStream) {
    let _ = tcp.set_zero_linger();
}

/// 4 KiB buffers, because there can be tens of thousands of sockets; a text longer than 1 MiB is no SMS.
pub(crate) fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(4 << 10)
        .max_message_size(Some(1 << 20))
        .max_frame_size(Some(1 << 20))
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
                        self.shared.receive(self.no, &text);
                    }
                    Some(Ok(Message::Binary(_))) => {
                        self.heard();
                        self.shared.with(|b| b.malformed(Some(self.no), "binary_frame", "EWC frames are text frames"));
                    }
                    Some(Ok(_)) => self.heard(),
                    Some(Err(error)) => {
                        if matches!(error, Error::Protocol(_) | Error::Utf8(_) | Error::Capacity(_)) && !is_loss(&error) {
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
        self.cut_at = self
            .shared
            .settings
            .cut_idle_after
            .map(|after| Instant::now() + after);
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
