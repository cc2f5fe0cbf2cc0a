//! What a person at the terminal reads while things happen.

use tokio::time::Instant;

/// Prints lines with the seconds since the start in front. Clones count from the same start.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    began: Instant,
}

impl Progress {
    /// Counts from now.
    pub fn start() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    /// Prints a line.
    pub fn say(&self, line: &str) {
        println!("{:>6.1} s  {line}", self.began.elapsed().as_secs_f64());
    }
}
