//! Wake-ups between roles: "look again at this conversation". Never the truth.
//!
//! A wake-up arrives at most once, may be lost, doubled or merged with another, and carries ids only. Everybody who waits
//! for one also polls; the bus only makes the wait short. It runs over Redis pub/sub, or inside one process.

mod backoff;
mod publisher;
mod queue;
mod subscriber;
mod wire;

use ccm_model::{ConversationId, IdSource, TenantId};
use deadpool_redis::redis::{Client, IntoConnectionInfo};
use queue::Queue;
use secrecy::{ExposeSecret, SecretString};
use std::sync::{Arc, Mutex, Weak};
use tokio::task::AbortHandle;

/// How many channels the wake-ups for agents' chats are spread over; fixed, since all pods must agree.
pub const SHARDS: u8 = 16;

/// Somebody should look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wake {
    /// A customer's text waits for the agent's chat.
    Inbound {
        /// Whose.
        tenant: TenantId,
        /// Where.
        conversation: ConversationId,
    },
    /// A text waits for the provider.
    Outbound {
        /// Whose.
        tenant: TenantId,
        /// Where.
        conversation: ConversationId,
    },
    /// A tenant's settings, keys, numbers or links are not what they were.
    TenantChanged {
        /// Which.
        tenant: TenantId,
    },
    /// Wake-ups may have been missed: look at everything. Only ever received; publishing it does nothing.
    LookAgain,
}

/// What a subscriber wants to hear of. [`Wake::LookAgain`] comes with every topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// [`Wake::Inbound`] of the tenants of one shard, see [`Topic::inbound`].
    Inbound(u8),
    /// [`Wake::Outbound`] of all tenants.
    Outbound,
    /// [`Wake::TenantChanged`] of all tenants.
    Tenants,
}

impl Topic {
    /// Where a tenant's [`Wake::Inbound`] is heard. The same in every version: FNV-1a over the id's bytes.
    pub fn inbound(tenant: TenantId) -> Self {
        let hash = tenant
            .0
            .as_bytes()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        Self::Inbound((hash % u64::from(SHARDS)) as u8)
    }

    /// All tenants' [`Wake::Inbound`].
    pub fn all_inbound() -> Vec<Self> {
        (0..SHARDS).map(Self::Inbound).collect()
    }

    fn of(wake: &Wake) -> Option<Self> {
        match wake {
            Wake::Inbound { tenant, .. } => Some(Self::inbound(*tenant)),
            Wake::Outbound { .. } => Some(Self::Outbound),
            Wake::TenantChanged { .. } => Some(Self::Tenants),
            Wake::LookAgain => None,
        }
    }
}

/// How the connection to Redis is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Not tried yet.
    Connecting,
    /// Works, or none is needed (in-process).
    Up,
    /// Does not; it is tried again all the time.
    Down {
        /// For the operator; holds no password.
        why: String,
    },
}

/// Why a bus cannot be set up. What can come right by itself (no Redis) is not an error.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The address is not one.
    #[error("redis.url is not an address of a Redis ({0}); write it like redis://HOST:PORT")]
    Address(String),
}

/// A cheap handle to publish and to subscribe with.
#[derive(Clone)]
pub struct Bus(Arc<Kind>);

enum Kind {
    Redis(Box<RedisBus>),
    InProcess(Mutex<Vec<Listener>>),
}

struct RedisBus {
    client: Client,
    prefix: String,
    ids: IdSource,
    outgoing: Arc<Queue>,
    link: Arc<Mutex<Link>>,
}

impl Drop for RedisBus {
    fn drop(&mut self) {
        // The publisher's task sends what waits and ends.
        self.outgoing.close();
    }
}

struct Listener {
    topics: Vec<Topic>,
    queue: Weak<Queue>,
}

impl Bus {
    /// Over the Redis at `url` (`redis://` or `rediss://`), which may be away now and later. All channels' names begin with
    /// `prefix`; deployments that share a Redis need different ones. To be called within a tokio runtime.
    pub fn redis(url: &SecretString, prefix: &str, ids: IdSource) -> Result<Self, BusError> {
        let bad = |e: deadpool_redis::redis::RedisError| BusError::Address(e.category().to_owned());
        let info = url.expose_secret().into_connection_info().map_err(bad)?;
        let client = Client::open(info.clone()).map_err(bad)?;
        let outgoing = Arc::new(Queue::new(queue::CAPACITY));
        let link = Arc::new(Mutex::new(Link::Connecting));
        let publisher = publisher::Publisher::new(info, prefix, ids.clone(), outgoing.clone(), link.clone())
            .map_err(bad)?;
        tokio::spawn(publisher.run());
        Ok(Self(Arc::new(Kind::Redis(Box::new(RedisBus {
            client,
            prefix: prefix.to_owned(),
            ids,
            outgoing,
            link,
        })))))
    }

    /// Inside this process only, for `ccm all` without Redis.
    pub fn in_process() -> Self {
        Self(Arc::new(Kind::InProcess(Mutex::default())))
    }

    /// Wakes whoever listens. Never waits and never fails: what cannot be sent is dropped and counted.
    pub fn publish(&self, wake: Wake) {
        let Some(topic) = Topic::of(&wake) else {
            return;
        };
        match &*self.0 {
            Kind::Redis(bus) => {
                if !bus.outgoing.push(wake) {
                    metrics::counter!("ccm_bus_dropped_total", "reason" => "overflow").increment(1);
                }
            }
            Kind::InProcess(listeners) => {
                let mut listeners = listeners.lock().unwrap_or_else(|e| e.into_inner());
                listeners.retain(|listener| {
                    let Some(queue) = listener.queue.upgrade() else {
                        return false;
                    };
                    if listener.topics.contains(&topic) {
                        queue.push_or_look_again(wake);
                    }
                    true
                });
            }
        }
    }

    /// From now on hears of `topics`. The first wake-up is [`Wake::LookAgain`], as soon as the subscription stands; it comes
    /// again after each interruption. To be called within a tokio runtime.
    pub fn subscribe(&self, topics: &[Topic]) -> Subscription {
        let queue = Arc::new(Queue::new(queue::CAPACITY));
        let task = match &*self.0 {
            Kind::Redis(bus) => {
                let subscriber = subscriber::Subscriber::new(
                    bus.client.clone(),
                    &bus.prefix,
                    topics,
                    bus.ids.clone(),
                    queue.clone(),
                );
                Some(tokio::spawn(subscriber.run()).abort_handle())
            }
            Kind::InProcess(listeners) => {
                queue.push(Wake::LookAgain);
                let mut listeners = listeners.lock().unwrap_or_else(|e| e.into_inner());
                listeners.push(Listener {
                    topics: topics.to_vec(),
                    queue: Arc::downgrade(&queue),
                });
                None
            }
        };
        Subscription { queue, task }
    }

    /// How the connection to Redis is, as seen at most five seconds ago.
    pub fn link(&self) -> Link {
        match &*self.0 {
            Kind::Redis(bus) => bus.link.lock().unwrap_or_else(|e| e.into_inner()).clone(),
            Kind::InProcess(_) => Link::Up,
        }
    }

    /// Whether wake-ups go out now.
    pub fn is_connected(&self) -> bool {
        self.link() == Link::Up
    }
}

/// A place to wait for wake-ups; it has a connection of its own. Dropping it ends it.
pub struct Subscription {
    queue: Arc<Queue>,
    task: Option<AbortHandle>,
}

impl Subscription {
    /// The next wake-up. Waits for as long as there is none, or no Redis: callers poll besides. Cancel-safe.
    pub async fn next(&mut self) -> Wake {
        self.queue.pop().await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
