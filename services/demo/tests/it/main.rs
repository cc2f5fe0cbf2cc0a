//! The program as a person starts it: its page in a browser, and its script in a terminal.

mod onboarding;
mod page;
mod program;
mod script;
