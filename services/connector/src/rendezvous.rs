use ccm_model::{Id, PodId, TenantId};
use std::hash::Hasher;

/// The pod that should own a tenant, of those given: the one with the highest score (rendezvous hashing), so that a pod that
/// comes or goes moves only the tenants that must move.
pub(crate) fn preferred(tenant: TenantId, pods: &[PodId]) -> Option<PodId> {
    pods.iter().copied().max_by_key(|pod| (score(tenant, *pod), *pod))
}

/// FNV-1a with a final mix: the same on every pod and in every version, unlike the standard library's hashers.
fn score(tenant: TenantId, pod: PodId) -> u64 {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    hash.write(tenant.uuid().as_bytes());
    hash.write(pod.uuid().as_bytes());
    hash.finish()
}

struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = (self.0 ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    fn finish(&self) -> u64 {
        // murmur3's finaliser: FNV alone leaves the high bits of similar inputs alike.
        let mut x = self.0;
        x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        x ^ (x >> 33)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn tenants(n: u128) -> Vec<TenantId> {
        (0..n)
            .map(|i| TenantId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 + i)))
            .collect()
    }

    fn pods(n: u128) -> Vec<PodId> {
        (0..n)
            .map(|i| PodId(Uuid::from_u128(0x0199_aaaa_0000_7000_8000_0000_0000_0000 + i)))
            .collect()
    }

    #[test]
    fn spreads_evenly_and_moves_only_what_must_move() {
        let (tenants, five) = (tenants(2000), pods(5));
        let mut count = std::collections::HashMap::new();
        for t in &tenants {
            *count.entry(preferred(*t, &five).unwrap()).or_insert(0) += 1;
        }
        assert!(
            count.values().all(|n| (280..520).contains(n)),
            "400 each, roughly: {count:?}"
        );
        for t in &tenants {
            let (with, without) = (preferred(*t, &five).unwrap(), preferred(*t, &five[..4]).unwrap());
            assert!(
                with == without || with == five[4],
                "only the fifth pod's tenants move"
            );
        }
        assert_eq!(preferred(tenants[0], &[]), None);
    }
}
