//! The program as a person starts it: its page in a browser, and its script in a terminal.

mod console;
mod onboarding;
mod page;
mod program;
mod script;
