//! The admin API on a real Postgres.

mod app;
mod chat_settings;
mod conversations;
mod document;
mod link_watch;
mod links;
mod onboarding;
mod roles;
mod routing;
mod serving;
mod validation;
