//! The admin API on a real Postgres.

mod app;
mod conversations;
mod document;
mod onboarding;
mod roles;
mod serving;
mod validation;
