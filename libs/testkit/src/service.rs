//! One address before several pods, as Kubernetes' Service is: who connects gets a pod that is ready, each in its turn.

use crate::http;
use anyhow::{Context, Result};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};

/// How often each pod is asked whether it is ready.
const PROBE: Duration = Duration::from_millis(100);

/// Listens on 127.0.0.1 and gives each connection to a pod. A connection stays with its pod to its end, as it does in Kubernetes. It ends
/// when dropped.
#[derive(Debug)]
pub struct Service {
    addr: SocketAddr,
    pods: Arc<Pods>,
    acceptor: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Pods {
    all: Mutex<Vec<Arc<Pod>>>,
    turn: AtomicUsize,
}

#[derive(Debug)]
struct Pod {
    public: u16,
    ready: AtomicBool,
    probe: JoinHandle<()>,
}

impl Service {
    /// Starts one without pods on a free port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, crate::ports::free_port())).await;
        let listener = listener.context("binding a service's port on 127.0.0.1")?;
        let addr = listener.local_addr()?;
        let pods = Arc::<Pods>::default();
        let acceptor = tokio::spawn(accept(listener, pods.clone()));
        Ok(Self { addr, pods, acceptor })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// One more pod, which gets connections on `public` while `/readyz` on `ops` says 200.
    pub fn add(&self, public: u16, ops: u16) {
        let pod = Arc::new_cyclic(|pod: &std::sync::Weak<Pod>| {
            let pod = pod.clone();
            let probe = tokio::spawn(async move {
                // The first look is later than the pod is there.
                loop {
                    sleep(PROBE).await;
                    let is_ready = matches!(http::get(ops, "/readyz").await, Ok((200, _)));
                    let Some(pod) = pod.upgrade() else { return };
                    pod.ready.store(is_ready, Relaxed);
                }
            });
            Pod {
                public,
                ready: AtomicBool::new(false),
                probe,
            }
        });
        self.pods
            .all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(pod);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.probe.abort();
    }
}

impl Pods {
    /// The pods that are ready, beginning with the one whose turn it is.
    fn ready(&self) -> Vec<u16> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = all.iter().filter(|pod| pod.ready.load(Relaxed));
        let mut ready: Vec<u16> = ready.map(|pod| pod.public).collect();
        if !ready.is_empty() {
            let turn = self.turn.fetch_add(1, Relaxed) % ready.len();
            ready.rotate_left(turn);
        }
        ready
    }
}

async fn accept(listener: TcpListener, pods: Arc<Pods>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        tokio::spawn(carry(client, pods.ready()));
    }
}

/// To the first pod that takes it. Where none does, the client's connection ends without an answer.
async fn carry(mut client: TcpStream, pods: Vec<u16>) {
    for pod in pods {
        let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, pod)).await else {
            continue;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let _ = copy_bidirectional(&mut client, &mut server).await;
        return;
    }
}
