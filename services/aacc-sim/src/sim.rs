//! The handle of a running simulator.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::Stream;
use tokio::net::TcpListener;
use tokio::sync::{Notify, broadcast};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::book::Book;
use crate::chaos::{Chaos, ChaosView};
use crate::config::Config;
use crate::desk::{OfferedFile, Page};
use crate::edge::Edge;
use crate::error::{OpError, SimError, WaitError};
use crate::fault::{Break, Faults, FaultsChange, Target};
use crate::player::{Numbers, Rule};
use crate::settings::Settings;
use crate::shared::{Shared, TlsSide};
use crate::stats::{Stats, StatsView};
use crate::tls::{ClientIdentity, Identity, TlsSetup};
use crate::views::{Agent, ChatView, EndReason, Event, Record, Role, Violation};
use crate::{control, edge, steps};

/// Events that a slow listener may fall behind.
const EVENT_BACKLOG: usize = 4096;
/// How long [`Sim::shutdown`] waits for tasks.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(5);

/// A running simulator of AACC's side of EWC. Clones are handles of the same; when the last one is dropped it stops.
#[derive(Clone)]
pub struct Sim {
    shared: Arc<Shared>,
    ewc_addr: SocketAddr,
    control_addr: SocketAddr,
    _guard: Arc<DropGuard>,
}

impl Sim {
    /// Binds both ports and starts. Needs a tokio runtime.
    pub async fn start(config: Config) -> Result<Sim, SimError> {
        if !config.control.ip().is_loopback() {
            return Err(SimError::ControlNotLoopback(config.control));
        }
        let tls = match Identity::of(&config.tls)? {
            Some(identity) => {
                let serving = Mutex::new(identity.serving(config.tls_setup, (config.now_ns)())?);
                Some(TlsSide { identity, serving })
            }
            None => None,
        };
        let (listener, ewc_addr) = bind(config.listen).await?;
        let (control_listener, control_addr) = bind(config.control).await?;

        let settings = Arc::new(config.settings);
        let numbers = Numbers::default();
        let rules = config
            .agents
            .into_iter()
            .map(|a| Arc::new(Rule::new(a, numbers.clone())))
            .collect();
        let first_guid = config.first_guid.unwrap_or_else(|| first_guid((config.now_ns)()));
        let (events, _) = broadcast::channel(EVENT_BACKLOG);
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            book: Mutex::new(Book::new(
                settings,
                rules,
                config.seed,
                first_guid,
                events.clone(),
            )),
            changed: Notify::new(),
            stats: Mutex::new(Stats::new()),
            events,
            now_ns: config.now_ns,
            runtime: tokio::runtime::Handle::current(),
            tls,
            stop: stop.clone(),
            tasks: TaskTracker::new(),
        });
        shared.tasks.spawn(edge::accept(shared.clone(), listener));
        shared
            .tasks
            .spawn(control::serve(shared.clone(), control_listener));
        shared.tasks.spawn(shared.clone().check_idle());
        if let Some(chaos) = config.chaos {
            shared.begin_chaos(chaos);
        }
        for step in config.steps {
            shared.tasks.spawn(steps::take(shared.clone(), step));
        }
        tracing::info!(ewc.address = %ewc_addr, control.address = %control_addr, "aacc-sim is up");
        Ok(Sim {
            shared,
            ewc_addr,
            control_addr,
            _guard: Arc::new(stop.drop_guard()),
        })
    }

    /// Where EWC is served.
    pub fn ewc_addr(&self) -> SocketAddr {
        self.ewc_addr
    }

    /// Where the control API is served.
    pub fn control_addr(&self) -> SocketAddr {
        self.control_addr
    }

    /// The certificate of the CA that a client must trust; `None` with plain ws.
    pub fn ca_pem(&self) -> Option<&str> {
        self.shared.identity().map(|i| i.ca_pem.as_str())
    }

    /// The certificate of the CA that issued the server's certificate and that neither clients know nor the server sends:
    /// what is missing with [`crate::ServerCertificate::UnknownIssuer`] and `IncompleteChain`.
    pub fn issuer_pem(&self) -> Option<String> {
        self.shared.serving()?.unknown_issuer_pem
    }

    /// A client certificate of the private CA; `None` where the CA's key is not known.
    pub fn client_identity(&self) -> Option<ClientIdentity> {
        self.shared.identity()?.client.clone()
    }

    /// What the TLS side shows and asks for; `None` with plain ws.
    pub fn tls(&self) -> Option<TlsSetup> {
        Some(self.shared.serving()?.setup)
    }

    /// Changes the TLS side for new connections; open ones go on.
    pub fn set_tls(&self, setup: TlsSetup) -> Result<(), SimError> {
        self.shared.set_tls(setup)
    }

    /// AACC's settings as they are now.
    pub fn settings(&self) -> Arc<Settings> {
        self.shared.look(|book| book.settings.clone())
    }

    /// Changes AACC's settings through a closure. [`Sim::reset`] takes the change back.
    pub fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        self.shared.with(|book| change(Arc::make_mut(&mut book.settings)));
    }

    /// Changes the reverse proxy in front of AACC through a closure.
    pub fn change_edge(&self, change: impl FnOnce(&mut Edge)) {
        self.change_settings(|settings| change(&mut settings.edge));
    }

    /// The address of the chat socket, on the host name `localhost`.
    pub fn chat_url(&self) -> String {
        let scheme = if self.ca_pem().is_some() { "wss" } else { "ws" };
        format!(
            "{scheme}://localhost:{}/CustomerControllerWeb/chat",
            self.ewc_addr.port()
        )
    }

    /// The control API as routes under `/control`, to be merged into somebody's own.
    pub fn control_router(&self) -> axum::Router {
        control::router(self.shared.clone())
    }

    /// Closes every socket (1001), frees both ports, waits for all tasks (5 s at most).
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        if timeout(SHUTDOWN_WAIT, self.shared.tasks.wait()).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
    }

    /// All chats in the order in which they were opened, with transcripts.
    pub fn chats(&self) -> Vec<ChatView> {
        self.shared
            .look(|book| book.chats.values().map(|c| c.view(true)).collect())
    }

    /// One chat with its transcript.
    pub fn chat(&self, guid: u64) -> Option<ChatView> {
        self.shared
            .look(|book| book.chats.get(&guid).map(|c| c.view(true)))
    }

    /// Waits until some chat is as wanted; the oldest such chat is returned.
    pub async fn wait_for_chat(
        &self,
        wanted: impl Fn(&ChatView) -> bool,
        within: Duration,
    ) -> Result<ChatView, WaitError> {
        let find = |book: &Book| book.chats.values().map(|c| c.view(true)).find(&wanted);
        timeout(within, self.shared.until(find))
            .await
            .map_err(|_| WaitError(within))
    }

    /// Waits until one chat is as wanted.
    pub async fn wait_for(
        &self,
        guid: u64,
        wanted: impl Fn(&ChatView) -> bool,
        within: Duration,
    ) -> Result<ChatView, WaitError> {
        let find = |book: &Book| book.chats.get(&guid).map(|c| c.view(true)).filter(&wanted);
        timeout(within, self.shared.until(find))
            .await
            .map_err(|_| WaitError(within))
    }

    /// An agent joins. The first one who opens the chat for texts brings the skillset's welcome message.
    pub fn join(&self, guid: u64, agent: Agent) -> Result<(), OpError> {
        self.shared.with(|book| book.join(guid, agent))
    }

    /// An agent types a text and sends it; AACC drops its `<` and `>`. Without an agent: the first in the room.
    pub fn say<'a>(&self, guid: u64, agent: impl Into<Option<&'a str>>, text: &str) -> Result<(), OpError> {
        self.shared.with(|book| book.say(guid, agent.into(), text, false))
    }

    /// A text that leaves AACC exactly as given, entities and all.
    pub fn say_raw<'a>(
        &self,
        guid: u64,
        agent: impl Into<Option<&'a str>>,
        text: &str,
    ) -> Result<(), OpError> {
        self.shared.with(|book| book.say(guid, agent.into(), text, true))
    }

    /// An agent types, or stops typing.
    pub fn typing<'a>(
        &self,
        guid: u64,
        agent: impl Into<Option<&'a str>>,
        typing: bool,
    ) -> Result<(), OpError> {
        self.shared.with(|book| book.typing(guid, agent.into(), typing))
    }

    /// An agent pushes a link.
    pub fn push_page<'a>(
        &self,
        guid: u64,
        agent: impl Into<Option<&'a str>>,
        page: Page,
    ) -> Result<(), OpError> {
        self.shared.with(|book| book.push_page(guid, agent.into(), page))
    }

    /// An agent leaves; `end_chat` is the `endChatFlag`.
    pub fn leave<'a>(
        &self,
        guid: u64,
        agent: impl Into<Option<&'a str>>,
        end_chat: bool,
    ) -> Result<(), OpError> {
        self.shared
            .with(|book| book.leave(guid, agent.into(), end_chat, None, EndReason::Agent))
    }

    /// An agent leaves with the reason `transfer`; with `to`, that agent joins at once, else the customer is on hold.
    pub fn transfer<'a>(
        &self,
        guid: u64,
        agent: impl Into<Option<&'a str>>,
        to: Option<Agent>,
    ) -> Result<(), OpError> {
        self.shared.with(|book| book.transfer(guid, agent.into(), to))
    }

    /// Everybody leaves with the reason `requeue`, and the chat waits again, for another skillset if one is named. Its
    /// automatic agents take it then.
    pub fn requeue(&self, guid: u64, skillset: Option<&str>) -> Result<(), OpError> {
        self.shared
            .with(|book| book.requeue(guid, skillset.map(str::to_owned)))
    }

    /// Somebody in the room takes another role: a supervisor barges in, or goes back to observing.
    pub fn change_role<'a>(
        &self,
        guid: u64,
        agent: impl Into<Option<&'a str>>,
        role: Role,
    ) -> Result<(), OpError> {
        self.shared
            .with(|book| book.change_role(guid, agent.into(), role))
    }

    /// An agent offers a file.
    pub fn send_file<'a>(
        &self,
        guid: u64,
        agent: impl Into<Option<&'a str>>,
        file: OfferedFile,
    ) -> Result<(), OpError> {
        self.shared.with(|book| book.send_file(guid, agent.into(), file))
    }

    /// AACC gives up looking for an agent; whether the chat ends then is a setting.
    pub fn route_cancel(&self, guid: u64) -> Result<(), OpError> {
        self.shared.with(|book| book.route_cancel(guid))
    }

    /// An agent looked at the chat: nothing is unread.
    pub fn mark_read(&self, guid: u64) -> Result<(), OpError> {
        self.shared.with(|book| book.read(guid))
    }

    /// Sends any text as a frame on the chat's socket: an unknown method, garbage, an error.
    pub fn send_frame(&self, guid: u64, text: impl Into<String>) -> Result<(), OpError> {
        self.shared.with(|book| book.send_frame(guid, text.into()))
    }

    /// Breaks sockets: of a chat (`guid.into()`) or of all. Returns how many were hit.
    pub fn break_sockets(&self, target: Target, how: Break) -> usize {
        self.shared.with(|book| book.break_sockets(target, how))
    }

    /// Expires sessions: their chats end, their keys are refused; sockets stay open. Returns how many.
    pub fn expire(&self, target: Target) -> usize {
        self.shared.with(|book| book.expire(target))
    }

    /// Sockets stand still: for so long nothing is read or written. Returns how many.
    pub fn freeze(&self, target: Target, pause: Duration) -> usize {
        self.shared.with(|book| book.freeze(target, pause))
    }

    /// Open sockets are told (error 503) that the contact center shuts down for maintenance. Returns how many.
    pub fn announce_maintenance(&self, target: Target) -> usize {
        self.shared.with(|book| book.announce_maintenance(target))
    }

    /// Begins to inject faults at random; chaos that runs already ends.
    pub fn start_chaos(&self, chaos: Chaos) {
        self.shared.begin_chaos(chaos);
    }

    /// Ends chaos and those of its faults that last.
    pub fn stop_chaos(&self) {
        self.shared.with(Book::stop_chaos);
    }

    /// What chaos does, or did last; `None` if there never was any.
    pub fn chaos(&self) -> Option<ChaosView> {
        self.shared.look(Book::chaos_view)
    }

    pub fn faults(&self) -> Faults {
        self.shared.look(|book| book.faults)
    }

    /// Changes the faults through a closure.
    pub fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        self.shared.with(|book| change(&mut book.faults));
    }

    /// Changes the faults that are named.
    pub fn change_faults(&self, change: FaultsChange) {
        self.set_faults(|faults| change.apply(faults));
    }

    /// What the customer's side did against the protocol, in order.
    pub fn violations(&self) -> Vec<Violation> {
        self.shared.look(|book| book.violations.clone())
    }

    /// What went both ways, for a checker.
    pub fn record(&self) -> Record {
        self.shared.look(|book| Record {
            chats: book.chats.values().map(|c| c.record()).collect(),
        })
    }

    pub fn stats(&self) -> StatsView {
        self.shared.stats()
    }

    pub fn reset_stats(&self) {
        self.shared.reset_stats();
    }

    /// Ends every chat, closes every socket (1001), forgets violations, record, statistics, changed faults and settings (the
    /// TLS side stays).
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// What happens from now on. A reader who falls behind by thousands of events loses the oldest.
    pub fn events(&self) -> impl Stream<Item = Event> + Send + use<> {
        futures::stream::unfold(self.shared.events(), |mut events| async move {
            loop {
                match events.recv().await {
                    Ok(event) => return Some((event, events)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        })
    }
}

async fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), SimError> {
    let failed = |source| SimError::Bind { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Below 2^30, and 100 guids ahead of a simulator that was started a second before.
fn first_guid(now_ns: u64) -> u64 {
    (now_ns / 1_000_000_000) % 10_000_000 * 100 + 1
}
