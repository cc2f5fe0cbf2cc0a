//! What goes over Redis: a version byte, a kind byte, then ids of 16 bytes each.

use crate::{Topic, Wake};
use ccm_model::{ConversationId, TenantId};
use uuid::Uuid;

const VERSION: u8 = 1;
const INBOUND: u8 = b'i';
const OUTBOUND: u8 = b'o';
const TENANT: u8 = b't';

pub(crate) fn channel(prefix: &str, topic: Topic) -> String {
    match topic {
        Topic::Inbound(shard) => format!("{prefix}:inbound:{shard}"),
        Topic::Outbound => format!("{prefix}:outbound"),
        Topic::Tenants => format!("{prefix}:tenants"),
    }
}

/// Nothing for [`Wake::LookAgain`], which is never sent.
pub(crate) fn encode(wake: &Wake) -> Option<Vec<u8>> {
    let (kind, tenant, conversation) = match wake {
        Wake::Inbound { tenant, conversation } => (INBOUND, tenant, Some(conversation)),
        Wake::Outbound { tenant, conversation } => (OUTBOUND, tenant, Some(conversation)),
        Wake::TenantChanged { tenant } => (TENANT, tenant, None),
        Wake::LookAgain => return None,
    };
    let mut bytes = vec![VERSION, kind];
    bytes.extend_from_slice(tenant.0.as_bytes());
    if let Some(conversation) = conversation {
        bytes.extend_from_slice(conversation.0.as_bytes());
    }
    Some(bytes)
}

/// Nothing for what this version does not know.
pub(crate) fn decode(bytes: &[u8]) -> Option<Wake> {
    let rest = bytes.strip_prefix(&[VERSION])?;
    let (kind, ids) = rest.split_first()?;
    let id = |n: usize| Uuid::from_slice(ids.get(n * 16..(n + 1) * 16)?).ok();
    let tenant = TenantId(id(0)?);
    let conversation = || id(1).map(ConversationId);
    match (*kind, ids.len()) {
        (INBOUND, 32) => Some(Wake::Inbound {
            tenant,
            conversation: conversation()?,
        }),
        (OUTBOUND, 32) => Some(Wake::Outbound {
            tenant,
            conversation: conversation()?,
        }),
        (TENANT, 16) => Some(Wake::TenantChanged { tenant }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        let (tenant, conversation) = (TenantId(Uuid::from_u128(1)), ConversationId(Uuid::from_u128(2)));
        for wake in [
            Wake::Inbound { tenant, conversation },
            Wake::Outbound { tenant, conversation },
            Wake::TenantChanged { tenant },
        ] {
            let bytes = encode(&wake).unwrap();
            assert_eq!(decode(&bytes), Some(wake));
            for cut in 0..bytes.len() {
                assert_eq!(decode(&bytes[..cut]), None, "cut at {cut}");
            }
            let mut longer = bytes.clone();
            longer.push(0);
            assert_eq!(decode(&longer), None);
            let mut newer = bytes;
            newer[0] = VERSION + 1;
            assert_eq!(decode(&newer), None);
        }
        assert_eq!(decode(b"1x0123456789abcdef"), None);
    }

    #[test]
    fn shards_stay_where_they_are_and_are_all_used() {
        assert_eq!(
            Topic::inbound(TenantId(Uuid::nil())),
            Topic::Inbound(5),
            "fixed for ever"
        );
        let used: std::collections::HashSet<_> = (0..1000)
            .map(|n| Topic::inbound(TenantId(Uuid::from_u128(n))))
            .collect();
        assert_eq!(used.len(), Topic::all_inbound().len());
    }
}
