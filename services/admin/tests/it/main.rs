//! The admin API on a real Postgres.

mod accounts;
mod app;
mod auth_keys;
mod changes;
mod chat_settings;
mod checks;
mod consent;
mod conversations;
mod dead_letters;
mod document;
mod link_watch;
mod links;
mod lists;
mod numbers;
mod onboarding;
mod removals;
mod roles;
mod routing;
mod serving;
mod settings_shape;
mod sms_settings;
mod suspension;
mod templates;
mod tenants;
mod validation;
