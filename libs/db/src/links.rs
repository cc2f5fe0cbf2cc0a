//! Tenants' EWC links: how an AACC is reached and trusted.

use crate::{
    DbError, InTheWay, Part, Removal, TenantDb,
    removal::{Removable, referring},
    seal::Place,
    storable::storable,
};
use ccm_model::{Id, LinkId};
use sqlx::{Row, postgres::PgRow};
use std::net::IpAddr;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// How an EWC link is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Wss,
    Ws,
}

impl Scheme {
    /// As in an address.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wss => "wss",
            Self::Ws => "ws",
        }
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    pub host: String,
    pub port: u16,
}

/// A tenant's AACC as reached over EWC, without its secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkRow {
    pub id: LinkId,
    pub name: String,
    pub scheme: Scheme,
    pub host: String,
    pub port: u16,
    pub path: String,
    /// PEM; `None` means the public CAs.
    pub ca_pem: Option<String>,
    /// Whether customers' `<` `>` reach the agent as look-alikes.
    pub swap_angle_brackets: bool,
    /// Sockets opened a second at most, over all of the tenant's chats.
    pub connects_per_second: f32,
    /// SNI, and the name that the certificate must carry; `None`: the host.
    pub server_name: Option<String>,
    /// Dialled in this order instead of looking the host up.
    pub addresses: Vec<IpAddr>,
    /// The other half of a high-availability pair.
    pub secondary: Option<HostPort>,
    /// The certificate chain that is shown to a peer who asks for one; its key is among the [`LinkSecrets`].
    pub client_cert_pem: Option<String>,
    /// An HTTP proxy that is asked to CONNECT.
    pub proxy: Option<HostPort>,
    pub proxy_has_auth: bool,
    pub created_at: OffsetDateTime,
    /// Changes with everything above, and with the secrets.
    pub updated_at: OffsetDateTime,
}

/// What a link is reached with that nobody may see. Deliberately without `Debug`.
#[derive(Default)]
pub struct LinkSecrets {
    /// The private key of `client_cert_pem`, PEM.
    pub client_key_pem: Option<Zeroizing<String>>,
    /// `user:password`.
    pub proxy_auth: Option<Zeroizing<String>>,
}

/// A link to be made, or what one is to become.
pub struct NewLink<'a> {
    pub id: LinkId,
    pub name: &'a str,
    pub scheme: Scheme,
    pub host: &'a str,
    pub port: u16,
    pub path: &'a str,
    pub ca_pem: Option<&'a str>,
    pub swap_angle_brackets: bool,
    pub connects_per_second: f32,
    pub reach: NewReach<'a>,
}

/// What goes beyond host and port. The default is none of it.
#[derive(Default)]
pub struct NewReach<'a> {
    pub server_name: Option<&'a str>,
    pub addresses: &'a [IpAddr],
    pub secondary: Option<&'a HostPort>,
    /// Certificate chain and private key, PEM; the key is sealed at rest.
    pub client: Option<(&'a str, &'a str)>,
    pub proxy: Option<&'a HostPort>,
    /// `user:password`, sealed at rest.
    pub proxy_auth: Option<&'a str>,
}

// Columns are named everywhere: under `*`, a migration that adds one would break the statements that are prepared.
macro_rules! link_columns {
    ($table:literal) => {
        concat!(
            $table,
            "id, ",
            $table,
            "name, ",
            $table,
            "scheme, ",
            $table,
            "host, ",
            $table,
            "port, ",
            $table,
            "path, ",
            $table,
            "ca_pem, ",
            $table,
            "swap_angle_brackets, ",
            $table,
            "connects_per_second, ",
            $table,
            "server_name, ",
            $table,
            "addresses, ",
            $table,
            "secondary_host, ",
            $table,
            "secondary_port, ",
            $table,
            "client_cert_pem, ",
            $table,
            "proxy_host, ",
            $table,
            "proxy_port, ",
            $table,
            "proxy_auth_sealed IS NOT NULL AS proxy_has_auth, ",
            $table,
            "created_at, ",
            $table,
            "updated_at"
        )
    };
    () => {
        link_columns!("")
    };
}
pub(crate) use link_columns;

const WHAT: &str = "link";

const LOCKED: &str = concat!(
    "SELECT ",
    link_columns!(),
    " FROM ewc_link WHERE tenant_id = $1 AND id = $2 FOR UPDATE"
);

const REMOVABLE: Removable<LinkRow> = Removable {
    what: WHAT,
    locked: LOCKED,
    read: link,
    referring: &[
        (
            "skillsets",
            referring!("skillset WHERE tenant_id = $1 AND link_id = $2"),
        ),
        (
            "open chats",
            referring!("chat WHERE tenant_id = $1 AND state <> 'closed' AND link_id = $2"),
        ),
    ],
    deletes: &[
        "DELETE FROM link_state WHERE tenant_id = $1 AND link_id = $2",
        "DELETE FROM maintenance_window WHERE tenant_id = $1 AND link_id = $2",
        "DELETE FROM ewc_link WHERE tenant_id = $1 AND id = $2",
    ],
};

pub(crate) fn link(row: &PgRow) -> Result<LinkRow, DbError> {
    let addresses: Vec<String> = row.try_get("addresses")?;
    let corrupt = |e: &dyn std::error::Error| DbError::Corrupt(e.to_string());
    Ok(LinkRow {
        id: LinkId(row.try_get("id")?),
        name: row.try_get("name")?,
        scheme: match row.try_get("scheme")? {
            "wss" => Scheme::Wss,
            "ws" => Scheme::Ws,
            other => return Err(DbError::Corrupt(format!("scheme {other:?}"))),
        },
        host: row.try_get("host")?,
        port: port(row.try_get("port")?)?,
        path: row.try_get("path")?,
        ca_pem: row.try_get("ca_pem")?,
        swap_angle_brackets: row.try_get("swap_angle_brackets")?,
        connects_per_second: row.try_get("connects_per_second")?,
        server_name: row.try_get("server_name")?,
        addresses: addresses
            .iter()
            .map(|a| a.parse().map_err(|e| corrupt(&e)))
            .collect::<Result<_, _>>()?,
        secondary: host_port(row, "secondary_host", "secondary_port")?,
        client_cert_pem: row.try_get("client_cert_pem")?,
        proxy: host_port(row, "proxy_host", "proxy_port")?,
        proxy_has_auth: row.try_get("proxy_has_auth")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

fn port(stored: i32) -> Result<u16, DbError> {
    u16::try_from(stored).map_err(|e| DbError::Corrupt(e.to_string()))
}

fn host_port(row: &PgRow, host: &str, number: &str) -> Result<Option<HostPort>, DbError> {
    let Some(host) = row.try_get::<Option<String>, _>(host)? else {
        return Ok(None);
    };
    let port = port(row.try_get(number)?)?;
    Ok(Some(HostPort { host, port }))
}

pub(crate) fn place(column: &'static str, link: LinkId) -> Place<'static> {
    Place {
        table: "ewc_link",
        column,
        row: link.uuid(),
    }
}

impl TenantDb<'_> {
    /// Makes an EWC link.
    pub async fn create_link(&self, new: NewLink<'_>) -> Result<LinkRow, DbError> {
        self.write_link(
            concat!(
                "INSERT INTO ewc_link (tenant_id, id, name, scheme, host, port, path, ca_pem, swap_angle_brackets,
                                       connects_per_second, server_name, addresses, secondary_host, secondary_port,
                                       client_cert_pem, client_key_sealed, proxy_host, proxy_port, proxy_auth_sealed)
                 SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19
                 WHERE $20::timestamptz IS NULL RETURNING ",
                link_columns!()
            ),
            new,
            None,
        )
        .await?
        .ok_or(DbError::NotFound(WHAT))
    }

    /// Replaces all of a link, secrets included. Chats that are up stay as they are; those that dial take it up. With
    /// `only_of`, only if it is still as it was at that moment; `None` when it is not, or when the tenant has no such link.
    pub async fn replace_link(
        &self,
        new: NewLink<'_>,
        only_of: Option<OffsetDateTime>,
    ) -> Result<Option<LinkRow>, DbError> {
        self.write_link(
            concat!(
                "UPDATE ewc_link SET name = $3, scheme = $4, host = $5, port = $6, path = $7, ca_pem = $8,
                        swap_angle_brackets = $9, connects_per_second = $10, server_name = $11, addresses = $12,
                        secondary_host = $13, secondary_port = $14, client_cert_pem = $15, client_key_sealed = $16,
                        proxy_host = $17, proxy_port = $18, proxy_auth_sealed = $19, updated_at = clock_timestamp()
                 WHERE tenant_id = $1 AND id = $2 AND updated_at = coalesce($20, updated_at) RETURNING ",
                link_columns!()
            ),
            new,
            only_of,
        )
        .await
    }

    async fn write_link(
        &self,
        sql: &'static str,
        new: NewLink<'_>,
        only_of: Option<OffsetDateTime>,
    ) -> Result<Option<LinkRow>, DbError> {
        let mut tx = self.begin().await?;
        let reach = &new.reach;
        let key = match reach.client {
            Some((_, key)) => Some(
                self.seal(&mut tx, place("client_key_sealed", new.id), key.as_bytes())
                    .await?,
            ),
            None => None,
        };
        let auth = match reach.proxy_auth {
            Some(auth) => Some(
                self.seal(&mut tx, place("proxy_auth_sealed", new.id), auth.as_bytes())
                    .await?,
            ),
            None => None,
        };
        let addresses: Vec<String> = reach.addresses.iter().map(IpAddr::to_string).collect();
        let row = sqlx::query(sql)
            .bind(self.tenant.uuid())
            .bind(new.id.uuid())
            .bind(new.name)
            .bind(new.scheme.as_str())
            .bind(new.host)
            .bind(i32::from(new.port))
            .bind(new.path)
            .bind(new.ca_pem)
            .bind(new.swap_angle_brackets)
            .bind(new.connects_per_second)
            .bind(reach.server_name)
            .bind(addresses)
            .bind(reach.secondary.map(|s| s.host.as_str()))
            .bind(reach.secondary.map(|s| i32::from(s.port)))
            .bind(reach.client.map(|(cert, _)| cert))
            .bind(key)
            .bind(reach.proxy.map(|p| p.host.as_str()))
            .bind(reach.proxy.map(|p| i32::from(p.port)))
            .bind(auth)
            .bind(only_of)
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        row.as_ref().map(link).transpose()
    }

    /// The tenant's EWC links, by name.
    pub async fn links(&self) -> Result<Vec<LinkRow>, DbError> {
        self.list(
            concat!(
                "SELECT ",
                link_columns!(),
                " FROM ewc_link WHERE tenant_id = $1 ORDER BY name"
            ),
            link,
        )
        .await
    }

    /// A part of the tenant's EWC links, by name; those of one name, or all.
    pub async fn links_part(&self, name: Option<&str>, part: &Part) -> Result<Vec<LinkRow>, DbError> {
        self.part(
            concat!(
                "SELECT ",
                link_columns!(),
                " FROM ewc_link WHERE tenant_id = $1 AND ($2::text IS NULL OR (name, id) > ($2, $3))
                   AND ($5::text IS NULL OR name = $5)
                 ORDER BY name, id LIMIT $4"
            ),
            part,
            |asked| asked.bind(name),
            link,
        )
        .await
    }

    /// One of the tenant's EWC links.
    pub async fn link(&self, id: LinkId) -> Result<LinkRow, DbError> {
        let sql = concat!(
            "SELECT ",
            link_columns!(),
            " FROM ewc_link WHERE tenant_id = $1 AND id = $2"
        );
        self.one(sql, id.uuid(), WHAT, link).await
    }

    /// Takes a link away, with its planned absences, if `allowed` and if nothing is in the way; returns what is. What happened to
    /// it stays, and so do the chats that were.
    pub async fn remove_link<E: From<DbError>>(
        &self,
        id: LinkId,
        removal: Removal,
        allowed: impl FnOnce(&LinkRow) -> Result<(), E>,
    ) -> Result<Vec<InTheWay>, E> {
        self.remove(&REMOVABLE, id.uuid(), removal, allowed).await
    }

    /// What a link is reached with, opened: for whoever dials.
    pub async fn link_secrets(&self, id: LinkId) -> Result<LinkSecrets, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "SELECT client_key_sealed, proxy_auth_sealed FROM ewc_link WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(DbError::NotFound(WHAT))?;
        let mut open = async |column: &'static str| {
            let Some(sealed) = row.try_get::<Option<&[u8]>, _>(column)? else {
                return Ok(None);
            };
            let plain = self.unseal(&mut tx, place(column, id), sealed).await?;
            let text = std::str::from_utf8(&plain).map_err(|_| DbError::Corrupt(column.into()))?;
            Ok::<_, DbError>(Some(Zeroizing::new(text.to_owned())))
        };
        let secrets = LinkSecrets {
            client_key_pem: open("client_key_sealed").await?,
            proxy_auth: open("proxy_auth_sealed").await?,
        };
        tx.commit().await?;
        Ok(secrets)
    }
}

/// What is stored of why a link is down.
pub(crate) fn operators_words(text: Option<&str>) -> Option<String> {
    text.map(|t| storable(t).chars().take(500).collect())
}
