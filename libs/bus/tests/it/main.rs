//! Wake-ups over a real Redis and inside one process.

mod in_process;
mod outage;
mod redis;

use ccm_bus::Wake;
use ccm_model::{Clock, ConversationId, Id, IdSource, TenantId};

fn ids() -> IdSource {
    IdSource::system()
}

fn inbound(tenant: TenantId) -> Wake {
    Wake::Inbound {
        tenant,
        conversation: ids().next::<ConversationId>(),
    }
}

fn tenant() -> TenantId {
    IdSource::new(Clock::system(), ids().next_u64()).next()
}

/// Two tenants whose chats are woken on different channels.
fn tenants_of_two_shards() -> (TenantId, TenantId) {
    use ccm_bus::Topic;
    let first = tenant();
    let mut other = first.0.as_u128();
    loop {
        other += 1;
        let second = TenantId::from_uuid(uuid::Uuid::from_u128(other));
        if Topic::inbound(second) != Topic::inbound(first) {
            return (first, second);
        }
    }
}
