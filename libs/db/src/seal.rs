use crate::{Db, DbError, TenantDb};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest, hmac, rand,
};
use ccm_model::{Id, TenantId};
use sqlx::{Postgres, Transaction};
use std::{collections::HashMap, fmt, sync::RwLock};
use zeroize::Zeroizing;

/// `version | key id | nonce | ciphertext and tag`. The version names the whole layout.
const VERSION: u8 = 1;
const KEY_ID_LEN: usize = 4;
const HEADER_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;

/// Why a sealed value could not be made or opened. Says nothing of what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("a master key is 32 bytes; make one with: head -c 32 /dev/urandom | base64")]
    KeyLength,
    #[error("no master key is configured; set keys.master_key_file")]
    NoKey,
    #[error("sealed with key {0}, which is not configured; add the old master key to keys.master_key_file")]
    UnknownKey(String),
    #[error("a sealed value is damaged, or was moved from another row")]
    Damaged,
}

struct Key {
    id: [u8; KEY_ID_LEN],
    aead: LessSafeKey,
    /// Its child, for hashes: what is sealed tells nothing of it.
    hashes: hmac::Key,
}

impl Key {
    fn new(raw: &[u8]) -> Result<Self, SealError> {
        let aead = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, raw).map_err(|_| SealError::KeyLength)?);
        let hash = digest::digest(&digest::SHA256, raw);
        let mut id = [0; KEY_ID_LEN];
        id.copy_from_slice(&hash.as_ref()[..KEY_ID_LEN]);
        let child = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, raw), b"ccm keyed hash v1");
        let hashes = hmac::Key::new(hmac::HMAC_SHA256, child.as_ref());
        Ok(Self { id, aead, hashes })
    }

    fn seal(&self, aad: &str, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0u8; NONCE_LEN];
        rand::fill(&mut nonce).expect("the operating system gives random bytes");
        let mut out = Vec::with_capacity(HEADER_LEN + plain.len() + 16);
        out.push(VERSION);
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&nonce);
        let mut body = plain.to_vec();
        self.aead
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut body)
            .expect("a value is far below the length limit of AES-GCM");
        out.extend_from_slice(&body);
        out
    }

    fn hash(&self, purpose: &str, data: &[u8]) -> [u8; 32] {
        let mut all = hmac::Context::with_key(&self.hashes);
        all.update(purpose.as_bytes());
        all.update(b"\0");
        all.update(data);
        let tag = all.sign();
        tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    fn open(&self, aad: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (header, body) = sealed.split_at_checked(HEADER_LEN).ok_or(SealError::Damaged)?;
        let nonce = header[1 + KEY_ID_LEN..]
            .try_into()
            .map_err(|_| SealError::Damaged)?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self
            .aead
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut body)
            .map_err(|_| SealError::Damaged)?
            .len();
        body.truncate(length);
        Ok(body)
    }
}

fn key_id(sealed: &[u8]) -> Result<[u8; KEY_ID_LEN], SealError> {
    match sealed {
        [VERSION, id @ ..] if sealed.len() > HEADER_LEN => {
            Ok(id[..KEY_ID_LEN].try_into().expect("four bytes"))
        }
        _ => Err(SealError::Damaged),
    }
}

/// The master keys (the first one seals, all open) and the tenants' data keys opened with them.
pub struct KeyRing {
    masters: Vec<Key>,
    tenants: RwLock<HashMap<TenantId, std::sync::Arc<Key>>>,
}

impl KeyRing {
    /// Takes 32-byte master keys, the one in use first.
    pub fn new<K: AsRef<[u8]>>(masters: impl IntoIterator<Item = K>) -> Result<Self, SealError> {
        let masters: Vec<Key> = masters
            .into_iter()
            .map(|k| Key::new(k.as_ref()))
            .collect::<Result<_, _>>()?;
        if masters.is_empty() {
            return Err(SealError::NoKey);
        }
        Ok(Self {
            masters,
            tenants: RwLock::default(),
        })
    }

    fn new_data_key(&self, tenant: TenantId) -> Result<Vec<u8>, SealError> {
        let mut raw = Zeroizing::new([0u8; 32]);
        rand::fill(raw.as_mut()).expect("the operating system gives random bytes");
        Ok(self.masters[0].seal(&data_key_aad(tenant), raw.as_ref()))
    }

    /// Sealed with the master key itself: for what is short-lived, or no tenant's.
    pub(crate) fn platform_seal(&self, owner: TenantId, place: &Place<'_>, plain: &[u8]) -> Vec<u8> {
        self.masters[0].seal(&place.aad(owner), plain)
    }

    pub(crate) fn platform_open(
        &self,
        owner: TenantId,
        place: &Place<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.master(key_id(sealed)?)?.open(&place.aad(owner), sealed)
    }

    /// As [`TenantDb::keyed_hash`], under the master key in use: for what is short-lived, since another master key hashes anew.
    pub(crate) fn platform_hash(&self, purpose: &str, data: &[u8]) -> [u8; 32] {
        self.masters[0].hash(purpose, data)
    }

    fn master(&self, id: [u8; KEY_ID_LEN]) -> Result<&Key, SealError> {
        let unknown = || SealError::UnknownKey(id.iter().map(|b| format!("{b:02x}")).collect());
        self.masters.iter().find(|key| key.id == id).ok_or_else(unknown)
    }

    fn open_data_key(&self, tenant: TenantId, sealed: &[u8]) -> Result<Key, SealError> {
        let master = self.master(key_id(sealed)?)?;
        Key::new(&master.open(&data_key_aad(tenant), sealed)?)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} master keys)", self.masters.len())
    }
}

fn data_key_aad(tenant: TenantId) -> String {
    format!("{tenant}/tenant_key/sealed/{tenant}")
}

/// A column of a row: part of what is authenticated, so that a sealed value cannot be moved to another place.
pub(crate) struct Place<'a> {
    pub table: &'a str,
    pub column: &'a str,
    pub row: uuid::Uuid,
}

impl Place<'_> {
    fn aad(&self, tenant: TenantId) -> String {
        format!("{tenant}/{}/{}/{}", self.table, self.column, self.row)
    }
}

impl TenantDb<'_> {
    /// The tenant's data key, made at first use.
    async fn data_key(&self, tx: &mut Transaction<'_, Postgres>) -> Result<std::sync::Arc<Key>, DbError> {
        let ring = &self.db.keys;
        if let Some(key) = ring
            .tenants
            .read()
            .expect("no panic while locked")
            .get(&self.tenant)
        {
            return Ok(key.clone());
        }
        let fresh = ring.new_data_key(self.tenant)?;
        sqlx::query("INSERT INTO tenant_key (tenant_id, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(self.tenant.uuid())
            .bind(fresh)
            .execute(&mut **tx)
            .await?;
        let sealed: Vec<u8> = sqlx::query_scalar("SELECT sealed FROM tenant_key WHERE tenant_id = $1")
            .bind(self.tenant.uuid())
            .fetch_one(&mut **tx)
            .await?;
        Ok(std::sync::Arc::new(ring.open_data_key(self.tenant, &sealed)?))
    }

    pub(crate) async fn seal(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        place: Place<'_>,
        plain: &[u8],
    ) -> Result<Vec<u8>, DbError> {
        // The key is not remembered here: the transaction that made it may yet roll back.
        let key = self.data_key(tx).await?;
        Ok(key.seal(&place.aad(self.tenant), plain))
    }

    /// What can be stored and looked up in place of a customer's data: HMAC-SHA256 under the tenant's data key. It tells nothing
    /// to whoever has the database alone, and nothing to anybody once that key is gone. `purpose` has no NUL.
    pub(crate) async fn keyed_hash(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        purpose: &str,
        data: &[u8],
    ) -> Result<[u8; 32], DbError> {
        Ok(self.data_key(tx).await?.hash(purpose, data))
    }

    pub(crate) async fn unseal(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        place: Place<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, DbError> {
        let key = self.data_key(tx).await?;
        let plain = key.open(&place.aad(self.tenant), sealed)?;
        self.db.remember(self.tenant, key);
        Ok(plain)
    }
}

impl Db {
    fn remember(&self, tenant: TenantId, key: std::sync::Arc<Key>) {
        self.keys
            .tenants
            .write()
            .expect("no panic while locked")
            .insert(tenant, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tenant(n: u128) -> TenantId {
        TenantId(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn a_data_key_opens_for_its_tenant_and_with_an_old_master_only() {
        let old = KeyRing::new([[1u8; 32]]).unwrap();
        let sealed = old.new_data_key(tenant(1)).unwrap();
        let rotated = KeyRing::new([[2u8; 32], [1u8; 32]]).unwrap();
        assert!(rotated.open_data_key(tenant(1), &sealed).is_ok());
        assert_eq!(
            rotated.open_data_key(tenant(2), &sealed).err(),
            Some(SealError::Damaged)
        );
        let forgot = KeyRing::new([[2u8; 32]]).unwrap();
        assert!(matches!(
            forgot.open_data_key(tenant(1), &sealed),
            Err(SealError::UnknownKey(_))
        ));
        assert!(matches!(KeyRing::new([[1u8; 31]]), Err(SealError::KeyLength)));
        assert!(matches!(KeyRing::new::<[u8; 32]>([]), Err(SealError::NoKey)));
    }

    #[test]
    fn a_hash_depends_on_key_purpose_and_data() {
        let (key, other) = (Key::new(&[7; 32]).unwrap(), Key::new(&[8; 32]).unwrap());
        let hash = key.hash("a", b"bc");
        assert_eq!(hash, Key::new(&[7; 32]).unwrap().hash("a", b"bc"));
        for different in [key.hash("a", b"bd"), key.hash("ab", b"c"), other.hash("a", b"bc")] {
            assert_ne!(hash, different);
        }
    }

    proptest! {
        #[test]
        fn opens_in_its_place_only_and_undamaged(plain: Vec<u8>, flip: prop::sample::Index) {
            let key = Key::new(&[7; 32]).unwrap();
            let row = uuid::Uuid::from_u128(5);
            let here = Place { table: "chat", column: "key_sealed", row }.aad(tenant(1));
            let sealed = key.seal(&here, &plain);
            prop_assert_eq!(&*key.open(&here, &sealed).unwrap(), &plain);
            let elsewhere = Place { table: "chat", column: "guid", row }.aad(tenant(1));
            prop_assert!(key.open(&elsewhere, &sealed).is_err());
            let mut damaged = sealed.clone();
            let at = 1 + KEY_ID_LEN + flip.index(sealed.len() - 1 - KEY_ID_LEN);
            damaged[at] ^= 1;
            prop_assert!(key.open(&here, &damaged).is_err());
            prop_assert!(key.open(&here, &sealed[..HEADER_LEN.min(sealed.len())]).is_err());
        }
    }
}
