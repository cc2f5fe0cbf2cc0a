//! `sqlx::migrate!` embeds the migrations, and cargo does not see a new file by itself.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
