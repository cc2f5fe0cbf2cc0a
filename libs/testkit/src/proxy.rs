//! A TCP proxy that breaks connections in the ways that networks do.

use anyhow::{Context, Result};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

/// Bytes that are on their way at a time, per direction: this many reads.
const IN_FLIGHT: usize = 1_024;

/// Listens on 127.0.0.1 and carries every connection to a target, until it is told to break them. It ends when dropped,
/// and its connections with it.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    faults: watch::Sender<Faults>,
    listening: watch::Receiver<bool>,
    seen: Arc<Seen>,
    acceptor: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Faults {
    refuse: bool,
    black_hole: bool,
    delay: Duration,
    /// Connections that were accepted under a lower number are reset.
    cuts: u64,
}

#[derive(Debug, Default)]
struct Seen {
    open: AtomicUsize,
    accepted: AtomicUsize,
}

impl Proxy {
    /// Starts a proxy to `target` on a free port.
    pub async fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, crate::ports::free_port())).await;
        let listener = listener.context("binding a proxy's port on 127.0.0.1")?;
        let addr = listener.local_addr()?;
        let (faults, orders) = watch::channel(Faults::default());
        let (listens, listening) = watch::channel(true);
        let seen = Arc::new(Seen::default());
        let acceptor = Acceptor {
            addr,
            target,
            orders,
            listens,
            seen: seen.clone(),
        };
        Ok(Self {
            addr,
            faults,
            listening,
            seen,
            acceptor: tokio::spawn(acceptor.run(listener)),
        })
    }

    /// Where it listens. The port stays the same.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Resets (RST) every connection that is open now, on both sides; what was on its way is lost.
    pub fn cut(&self) {
        self.faults.send_modify(|faults| faults.cuts += 1);
    }

    /// Refuses new connections, as a machine does on which nobody listens, or takes them again. Open ones go on.
    /// Returns when it is so.
    pub async fn refuse(&self, on: bool) {
        self.faults.send_modify(|faults| faults.refuse = on);
        // The acceptor lives as long as this value.
        let _ = self.listening.clone().wait_for(|listens| *listens != on).await;
    }

    /// Carries nothing, tells nobody, and accepts new connections, as a firewall that has lost its state. When it ends,
    /// what waited goes on its way.
    pub fn black_hole(&self, on: bool) {
        self.faults.send_modify(|faults| faults.black_hole = on);
    }

    /// Delivers what arrives from now on this much later, in order.
    pub fn delay(&self, delay: Duration) {
        self.faults.send_modify(|faults| faults.delay = delay);
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.seen.open.load(Relaxed)
    }

    /// Connections accepted since the start.
    pub fn accepted(&self) -> usize {
        self.seen.accepted.load(Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

struct Acceptor {
    addr: SocketAddr,
    target: SocketAddr,
    orders: watch::Receiver<Faults>,
    listens: watch::Sender<bool>,
    seen: Arc<Seen>,
}

impl Acceptor {
    async fn run(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        loop {
            let refuse = self.orders.borrow_and_update().refuse;
            listener = match listener {
                Some(_) if refuse => None,
                None if !refuse => match TcpListener::bind(self.addr).await {
                    Ok(listener) => Some(listener),
                    Err(_) => {
                        sleep(Duration::from_millis(10)).await;
                        continue;
                    }
                },
                as_it_is => as_it_is,
            };
            self.listens.send_replace(listener.is_some());
            tokio::select! {
                changed = self.orders.changed() => if changed.is_err() { return },
                Some(client) = accept(listener.as_ref()) => self.carry(client),
            }
        }
    }

    fn carry(&self, client: TcpStream) {
        let (target, orders, seen) = (self.target, self.orders.clone(), self.seen.clone());
        seen.accepted.fetch_add(1, Relaxed);
        seen.open.fetch_add(1, Relaxed);
        tokio::spawn(async move {
            connection(client, target, orders).await;
            seen.open.fetch_sub(1, Relaxed);
        });
    }
}

/// `None` (and never ready) without a listener.
async fn accept(listener: Option<&TcpListener>) -> Option<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.ok().map(|(client, _)| client),
        None => std::future::pending().await,
    }
}

async fn connection(mut client: TcpStream, target: SocketAddr, mut orders: watch::Receiver<Faults>) {
    let mine = orders.borrow().cuts;
    let gate = orders.clone();
    let mut server = None;
    let carried = tokio::select! {
        carried = carry_both(&mut client, &mut server, target, gate) => carried,
        // A proxy that is dropped cuts as well.
        _ = orders.wait_for(|faults| faults.cuts > mine) => Err(io::ErrorKind::ConnectionReset.into()),
    };
    if carried.is_err() {
        let _ = client.set_zero_linger();
        if let Some(server) = &server {
            let _ = server.set_zero_linger();
        }
    }
}

async fn carry_both(
    client: &mut TcpStream,
    server: &mut Option<TcpStream>,
    target: SocketAddr,
    mut gate: watch::Receiver<Faults>,
) -> io::Result<()> {
    open(&mut gate).await?;
    let server = server.insert(TcpStream::connect(target).await?);
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::try_join!(
        carry(from_client, to_server, gate.clone()),
        carry(from_server, to_client, gate.clone())
    )?;
    Ok(())
}

/// Waits for the end of a black hole.
async fn open(gate: &mut watch::Receiver<Faults>) -> io::Result<()> {
    let open = gate.wait_for(|faults| !faults.black_hole).await;
    open.map(drop).map_err(|_| io::ErrorKind::ConnectionReset.into())
}

/// One direction, to its end (which is carried too).
async fn carry(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut gate: watch::Receiver<Faults>,
) -> io::Result<()> {
    let mut exit = gate.clone();
    let (enter, mut leave) = mpsc::channel::<(Instant, Vec<u8>)>(IN_FLIGHT);
    let read = async move {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            open(&mut gate).await?;
            let length = from.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            let due = Instant::now() + gate.borrow().delay;
            if enter.send((due, buffer[..length].to_vec())).await.is_err() {
                return Ok(());
            }
        }
    };
    let write = async move {
        while let Some((due, bytes)) = leave.recv().await {
            sleep_until(due).await;
            open(&mut exit).await?;
            to.write_all(&bytes).await?;
        }
        open(&mut exit).await?;
        to.shutdown().await
    };
    tokio::try_join!(read, write).map(|_: ((), ())| ())
}
