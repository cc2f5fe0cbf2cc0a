//! An open page: whose it is, and what stands in it.

use super::{address::Claims, dress::Frames, open::token_hash, stop::Stop, words::Words};
use crate::Deps;
use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
    response::Response,
};
use ccm_db::{PopRow, TenantDb};
use ccm_model::{Address, Id, ScreenpopSettings, SkillsetId, TenantId};
use ccm_numbers::{Home, Reading, of_call};
use ccm_web::{RequestId, within};
use std::collections::BTreeMap;

/// Whoever has a page's address: what a handler asks for that shows or changes one. Deliberately without `Debug`.
pub struct Page {
    pub deps: Deps,
    pub tenant: TenantId,
    pub token: String,
    pub pop: PopRow,
    pub claims: Claims,
    pub settings: ScreenpopSettings,
    pub words: &'static Words,
    pub request: RequestId,
}

impl Page {
    pub fn db(&self) -> TenantDb<'_> {
        self.deps.db.tenant(self.tenant)
    }

    pub fn path(&self) -> String {
        format!("/pop/{}", self.token)
    }

    pub fn frames(&self) -> Frames<'_> {
        Frames::Origins(&self.settings.frame_ancestors)
    }

    async fn find(parts: &Parts, deps: &Deps, request: RequestId) -> Result<Self, Stop> {
        let params = RawPathParams::from_request_parts(&mut parts.clone(), &())
            .await
            .map_err(|_| Stop::Ended)?;
        let token = params.iter().find(|(name, _)| *name == "token");
        let token = token.map(|(_, token)| token.to_owned()).ok_or(Stop::Ended)?;
        let now = deps.ids.clock().now();
        let owner = deps.db.operator().pop_owner(&token_hash(&token), now).await?;
        let owner = owner.ok_or(Stop::Ended)?;
        let from = deps.proxies.caller(&parts.extensions, &parts.headers);
        if !owner.networks.is_empty() && !within(&owner.networks, from) {
            return Err(Stop::Network);
        }
        let db = deps.db.tenant(owner.tenant);
        let pop = db.pop(owner.pop).await?;
        let (settings, _) = db.settings::<ScreenpopSettings>().await?;
        Ok(Self {
            deps: deps.clone(),
            tenant: owner.tenant,
            token,
            // What an older version wrote and this one cannot read claims nothing.
            claims: serde_json::from_value(pop.claims.clone()).unwrap_or_default(),
            pop,
            words: Words::of(settings.language),
            settings,
            request,
        })
    }
}

impl FromRequestParts<Deps> for Page {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, deps: &Deps) -> Result<Self, Response> {
        use axum::response::IntoResponse;
        let request = RequestId::from_request_parts(parts, deps)
            .await
            .map_err(IntoResponse::into_response)?;
        let found = Self::find(parts, deps, request).await;
        found.map_err(|stop| stop.page(&parts.headers, request))
    }
}

/// A number that texts can leave from.
pub struct Sender {
    pub address: Address,
    pub skillset: String,
}

/// All of a tenant's numbers that can be answered.
pub struct Senders(pub Vec<Sender>);

impl Senders {
    pub async fn of(db: &TenantDb<'_>) -> Result<Self, Stop> {
        let skillsets = db.skillsets().await?;
        let names: BTreeMap<_, _> = skillsets.into_iter().map(|s| (s.id.uuid(), s.name)).collect();
        let name = |id: SkillsetId| names.get(&id.uuid()).cloned().unwrap_or_default();
        let mut senders: Vec<Sender> = db
            .numbers()
            .await?
            .into_iter()
            .filter(|number| number.address.can_be_answered())
            .map(|number| Sender {
                skillset: name(number.skillset),
                address: number.address,
            })
            .collect();
        // A short code may be two accounts' number.
        senders.dedup_by(|a, b| a.address == b.address);
        Ok(Self(senders))
    }

    /// The one of this address.
    pub fn find(&self, address: &str) -> Option<&Address> {
        let mut all = self.0.iter().map(|sender| &sender.address);
        all.find(|known| known.as_str() == address)
    }

    /// The one that a page's address names: by what its digits mean, else by the digits themselves.
    pub fn dialed(&self, raw: &str, region: Option<&str>) -> Option<Address> {
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        let read = of_call(raw, Home { region, ours: None }).and_then(Reading::one);
        let by_meaning = read.and_then(|read| self.find(read.address.as_str()));
        let by_digits = || {
            let wanted = digits(raw);
            let mut all = self.0.iter().map(|sender| &sender.address);
            all.find(|known| !wanted.is_empty() && digits(known.as_str()) == wanted)
        };
        by_meaning.or_else(by_digits).cloned()
    }

    /// The one that the tenant has chosen for a skillset.
    pub fn for_skillset(
        &self,
        skillset: Option<&str>,
        chosen: &BTreeMap<String, Address>,
    ) -> Option<Address> {
        self.find(chosen.get(skillset?)?.as_str()).cloned()
    }

    /// The first of a skillset's numbers, else of all.
    pub fn first(&self, skillset: Option<&str>) -> Option<Address> {
        let of_skillset = self
            .0
            .iter()
            .find(|sender| Some(sender.skillset.as_str()) == skillset);
        Some(of_skillset.or(self.0.first())?.address.clone())
    }
}
