//! The tenant admin API: JWT-protected REST under `/v1`, described by `/openapi.json` and shown at `/docs`.
//!
//! One file per resource holds its shapes, rules, document and handlers. `docs/api.md` says how the API is meant.

mod accounts;
mod answer;
mod api;
mod api_keys;
mod audit;
mod auth_keys;
mod ca;
mod certificate;
mod certificates;
mod chat_document;
mod chat_settings;
mod client_cert;
mod client_key;
mod consent;
mod consent_csv;
mod conversations;
mod dead_letters;
mod deps;
mod doctor;
mod ewc_url;
mod identity;
mod link_watch;
mod links;
mod maintenance;
mod number_check;
mod numbers;
mod oidc;
mod once;
mod pace;
mod patch;
mod path;
mod provider;
mod query;
mod reach;
mod removal;
mod routing;
mod routing_document;
mod schema;
mod skillsets;
mod sms_document;
mod sms_settings;
mod tagged;
mod templates;
mod tenants;
mod text_check;
mod users;
mod valid;
mod webhook_secrets;

pub use api::{openapi, router, run};
pub use ccm_web::TrustedProxies;
pub use deps::Deps;
pub use doctor::{DoctorDeps, Places};
pub use oidc::{Oidc, OidcSettings};
pub use pace::RequestRate;
