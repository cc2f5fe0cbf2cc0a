//! This test program again, as another process: for what only shows over several of them.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// Starts the ignored test `name` of this program with a variable set, and returns it with its first line of output
/// that begins with `ready:` (without that), once it has printed it.
pub fn start(name: &str, key: &str, value: &str) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(key, value)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap())
        .lines()
        .map_while(Result::ok);
    // libtest prints the test's name first, on the same line.
    let ready = lines.find_map(|line| line.split_once("ready:").map(|(_, rest)| rest.trim().to_owned()));
    let ready = ready.expect("the child says that it is ready");
    (child, ready)
}
