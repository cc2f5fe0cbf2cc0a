//! What a tenant decides: one document a subject, read and replaced as a whole.

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Taking},
    chat_document, deflection_document, named,
    path::TenantPath,
    screenpop_document, sms_document, sms_settings,
    store::retention,
    tagged::{Guarded, IfMatchHeader, Tagged, precondition, tagged},
    valid::{self, Refused},
};
use axum::{extract::State, http::HeaderMap};
use ccm_db::{DbError, Settings, TenantDb};
use ccm_model::{ChatSettings, DeflectionSettings, RetentionSettings, ScreenpopSettings, SmsSettings};
use ccm_web::{Document, TenantScope, may};
use std::future::Future;

/// What is particular to a document.
trait Decided: Settings {
    fn check(&self) -> Result<(), Refused>;

    /// What follows from another one.
    fn replaced(_: &TenantDb<'_>) -> impl Future<Output = Result<(), DbError>> + Send {
        async { Ok(()) }
    }
}

impl Decided for ChatSettings {
    fn check(&self) -> Result<(), Refused> {
        Ok(self.check()?)
    }
}

impl Decided for SmsSettings {
    fn check(&self) -> Result<(), Refused> {
        self.check()?;
        sms_settings::consent_words(&self.consent)
    }
}

impl Decided for DeflectionSettings {
    fn check(&self) -> Result<(), Refused> {
        self.check()?;
        valid::region(self.region.as_deref())
    }
}

impl Decided for ScreenpopSettings {
    fn check(&self) -> Result<(), Refused> {
        self.check()?;
        valid::region(self.region.as_deref())
    }
}

impl Decided for RetentionSettings {
    fn check(&self) -> Result<(), Refused> {
        Ok(self.check()?)
    }

    async fn replaced(db: &TenantDb<'_>) -> Result<(), DbError> {
        db.retention_is_due().await
    }
}

async fn read<S: Settings>(
    deps: &Deps,
    scope: &TenantScope<may::ReadSettings>,
) -> Result<Tagged<S>, Failure> {
    let (settings, changed) = deps.tenant(scope).await?.settings().await?;
    Ok(tagged(settings, changed))
}

async fn replace<S: Decided>(
    deps: &Deps,
    scope: &TenantScope<may::WriteSettings>,
    headers: &HeaderMap,
    new: S,
) -> Result<Tagged<S>, Failure> {
    Decided::check(&new)?;
    let db = deps.tenant(scope).await?;
    let stored = async { Ok(db.settings::<S>().await?.1) };
    let unless = precondition(headers, S::WHAT, stored).await?;
    let put = db.put_settings(&new, unless).await;
    let put = named::checked(&db, &new.names().unwrap_or_default(), put).await?;
    let changed = put.ok_or(Failure::Changed { what: S::WHAT })?;
    S::replaced(&db).await?;
    deps.changed(scope.tenant, S::WHAT, scope.tenant, &scope.bearer.sub);
    Ok(tagged(new, Some(changed)))
}

/// The two requests of a document.
macro_rules! document {
    ($settings:ident, $($shape:ident)::+, $path:tt, $tag:tt,
     $(#[$read_doc:meta])* $get:ident, $(#[$replace_doc:meta])* $put:ident) => {
        $(#[$read_doc])*
        #[utoipa::path(get, path = $path, tag = $tag, params(TenantPath),
            responses((status = 200, description = "All of it.", body = $($shape)::+,
                headers(("ETag" = String, description = "To be given back as `If-Match`."))), Always, InTenant))]
        pub async fn $get(
            State(deps): State<Deps>,
            scope: TenantScope<may::ReadSettings>,
        ) -> Result<Tagged<$settings>, Failure> {
            read(&deps, &scope).await
        }

        $(#[$replace_doc])*
        #[utoipa::path(put, path = $path, tag = $tag, params(TenantPath, IfMatchHeader), request_body = $($shape)::+,
            responses((status = 200, description = "Replaced.", body = $($shape)::+,
                headers(("ETag" = String, description = "Of what is stored now."))), Guarded, Always, InTenant, Taking))]
        pub async fn $put(
            State(deps): State<Deps>,
            scope: TenantScope<may::WriteSettings>,
            headers: HeaderMap,
            Document(new): Document<$settings>,
        ) -> Result<Tagged<$settings>, Failure> {
            replace(&deps, &scope, &headers, new).await
        }
    };
}

document!(
    ChatSettings,
    chat_document::ChatSettings,
    "/v1/tenants/{tenant}/chat-settings",
    "chat-settings",
    /// Read how chats behave
    ///
    /// A tenant that has set nothing has the defaults. For the roles platform-admin, engineer and support; tenant-admin and
    /// tenant-viewer in their own tenant.
    get_chat_settings,
    /// Replace how chats behave
    ///
    /// What is left out takes its default. For the roles platform-admin and engineer; tenant-admin in their own tenant.
    put_chat_settings
);

document!(
    SmsSettings,
    sms_document::SmsSettings,
    "/v1/tenants/{tenant}/sms-settings",
    "sms-settings",
    /// Read how texts are treated
    ///
    /// A tenant that has set nothing has the defaults. For the roles platform-admin, engineer and support; tenant-admin and
    /// tenant-viewer in their own tenant.
    get_sms_settings,
    /// Replace how texts are treated
    ///
    /// What is left out takes its default. For the roles platform-admin and engineer; tenant-admin in their own tenant.
    put_sms_settings
);

document!(
    DeflectionSettings,
    deflection_document::DeflectionSettings,
    "/v1/tenants/{tenant}/deflection-settings",
    "deflection",
    /// Read when and how waiting callers are offered a chat
    ///
    /// A tenant that has set nothing has the defaults, and offers nothing. For the roles platform-admin, engineer and support; tenant-admin
    /// and tenant-viewer in their own tenant.
    get_deflection_settings,
    /// Replace when and how waiting callers are offered a chat
    ///
    /// What is left out takes its default. Numbers and skillsets that are named must be there. For the roles platform-admin and engineer;
    /// tenant-admin in their own tenant.
    put_deflection_settings
);

document!(
    ScreenpopSettings,
    screenpop_document::ScreenpopSettings,
    "/v1/tenants/{tenant}/screenpop-settings",
    "screenpop",
    /// Read what the agents' page is like
    ///
    /// A tenant that has set nothing has the defaults. For the roles platform-admin, engineer and support; tenant-admin and
    /// tenant-viewer in their own tenant.
    get_screenpop_settings,
    /// Replace what the agents' page is like
    ///
    /// What is left out takes its default. Numbers that are named must be there. Pages that are open have the new settings when they are next
    /// loaded; they end when they would have ended. For the roles platform-admin and engineer; tenant-admin in their own tenant.
    put_screenpop_settings
);

document!(
    RetentionSettings,
    retention::Shape,
    "/v1/tenants/{tenant}/retention-settings",
    "message-store",
    /// Read for how long texts are kept
    ///
    /// A tenant that has set nothing keeps all. For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own
    /// tenant.
    get_retention_settings,
    /// Replace for how long texts are kept
    ///
    /// It is carried out from now on, and what is older goes for good: see `dry-run` first. For the roles platform-admin and engineer; tenant-admin
    /// in their own tenant.
    put_retention_settings
);
