//! The server's end of a connection to the EWC port.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::server::TlsStream;

use crate::fault::Shape;

const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// TCP, with TLS or without, and a way out that can be narrowed.
pub(crate) struct Stream {
    io: Io,
    out: WayOut,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

enum WayOut {
    Open,
    /// What is written is swallowed.
    Mute,
    Drip(Box<Drip>),
}

struct Drip {
    bytes: usize,
    pause: Duration,
    next: Pin<Box<Sleep>>,
}

impl Stream {
    pub fn plain(tcp: TcpStream) -> Self {
        Stream {
            io: Io::Plain(tcp),
            out: WayOut::Open,
        }
    }

    pub fn tls(tls: TlsStream<TcpStream>) -> Self {
        Stream {
            io: Io::Tls(Box::new(tls)),
            out: WayOut::Open,
        }
    }

    pub fn tcp(&self) -> &TcpStream {
        match &self.io {
            Io::Plain(tcp) => tcp,
            Io::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Ends the connection in good order.
    pub async fn close(mut self) {
        let _ = timeout(CLOSE_WAIT, self.shutdown()).await;
    }

    /// From now on nothing gets out.
    pub fn mute(&mut self) {
        self.out = WayOut::Mute;
    }

    pub fn is_mute(&self) -> bool {
        matches!(self.out, WayOut::Mute)
    }

    /// How fast what is written from now on gets out.
    pub fn narrow(&mut self, shape: Shape) {
        let bytes = shape.drip_bytes as usize;
        let pause = Duration::from_millis(shape.drip_pause_ms.into());
        match &mut self.out {
            WayOut::Mute => {}
            out if bytes == 0 => *out = WayOut::Open,
            WayOut::Drip(drip) => (drip.bytes, drip.pause) = (bytes, pause),
            out => {
                let next = Box::pin(sleep(Duration::ZERO));
                *out = WayOut::Drip(Box::new(Drip { bytes, pause, next }));
            }
        }
    }
}

impl Io {
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Io::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Io::Tls(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Io::Plain(s) => Pin::new(s).poll_flush(cx),
            Io::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Io::Tls(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Stream { io, out } = self.get_mut();
        let drip = match out {
            WayOut::Open => return io.poll_write(cx, buf),
            WayOut::Mute => return Poll::Ready(Ok(buf.len())),
            WayOut::Drip(drip) => drip,
        };
        ready!(drip.next.as_mut().poll(cx));
        // TLS keeps what it took until it is flushed: a drop must get out before the next pause.
        ready!(io.poll_flush(cx))?;
        let drop = buf.len().min(drip.bytes);
        let written = ready!(io.poll_write(cx, &buf[..drop]))?;
        drip.next.as_mut().reset(Instant::now() + drip.pause);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().io.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Io::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}
