//! The provider's listening side, whose connections can be reset under a request.

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

pub(crate) struct Edge {
    pub listener: TcpListener,
    /// Once it is cancelled, open connections fail as well.
    pub stop: CancellationToken,
}

pub(crate) struct Io {
    stream: TcpStream,
    cut: Arc<AtomicBool>,
    stop: CancellationToken,
}

/// The connection that a request came on.
#[derive(Clone)]
pub(crate) struct Line(Arc<AtomicBool>);

impl Line {
    /// Lets nothing more be written: the answer that is returned next becomes a reset.
    pub fn cut(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Listener for Edge {
    type Io = Io;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Io, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let _ = stream.set_nodelay(true);
        (
            Io {
                stream,
                cut: Arc::default(),
                stop: self.stop.clone(),
            },
            peer,
        )
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Edge>> for Line {
    fn connect_info(stream: IncomingStream<'_, Edge>) -> Self {
        Self(Arc::clone(&stream.io().cut))
    }
}

impl Io {
    /// Fails once the connection is cut; closing it then sends RST instead of FIN.
    fn alive(&self) -> io::Result<()> {
        if self.cut.load(Ordering::Acquire) || self.stop.is_cancelled() {
            self.stream.set_zero_linger()?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.alive()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.alive()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.alive()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.alive()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
