//! What every HTTP service of ours does alike: problems as answers, extractors that check and authorise, pages, request
//! ids, metrics and traces.
//!
//! A handler takes [`Json`], [`Document`], [`Path`], [`Query`] and [`Bytes`] from here, never from axum, so that each refusal is a
//! [`Problem`]; it says who may call it by taking [`Authenticated`], [`Platform`] or [`TenantScope`], for which [`identify`]
//! finds out who asks, or [`KeyHolder`] where screen-pop keys open the door. [`wrap`] puts the rest around a router.

mod authorise;
mod document;
mod extract;
mod identify;
mod key;
mod page;
mod problem;
mod rate;
mod wrap;

pub use authorise::{Authenticated, Permit, Platform, TenantScope, may};
pub use document::Document;
pub use extract::{Bytes, Json, Path, Query, plus};
pub use identify::{Caller, Gatekeeper, TrustedProxies, bearer, identify};
pub use key::{KeyCheck, KeyHolder, WrongKeys, within};
pub use page::{Cursor, Page, PageQuery};
pub use problem::{PROBLEM_JSON, Problem};
pub use rate::Rate;
pub use wrap::{RequestId, WebConfig, no_head, not_stored, wrap};
