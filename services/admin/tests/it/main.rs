//! The admin API on a real Postgres.

mod accounts;
mod app;
mod certificates;
mod chat_settings;
mod checks;
mod consent;
mod conversations;
mod dead_letters;
mod doctor;
mod document;
mod link_watch;
mod links;
mod numbers;
mod onboarding;
mod roles;
mod routing;
mod serving;
mod settings_shape;
mod sms_settings;
mod suspension;
mod validation;
