# shellcheck shell=bash
# What the scripts beside this file share. Sourced by them, never run.

# The clone's root; every script works from there, wherever it is called from.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root" || exit 1

rust_needed=1.95

# A newly installed Rust is not yet on the PATH of a shell that was open before.
if ! command -v cargo >/dev/null && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
  PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
fi

if [ -t 1 ] && [ "${NO_COLOR:-}" = "" ]; then
  bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
  bold='' red='' green='' plain=''
fi

say() { printf '%s\n' "$*"; }

# die WHAT-IS-WRONG WHAT-TO-DO
die() {
  printf '%serror:%s %s\n' "$red$bold" "$plain" "$1" >&2
  [ $# -gt 1 ] && printf '  do this: %s\n' "$2" >&2
  exit 1
}

# Where cargo builds to; CARGO_TARGET_DIR and cargo's own configuration are honoured.
target_dir() {
  cargo metadata --format-version 1 --no-deps --offline 2>/dev/null |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}

# Seconds as people read them.
human() {
  local s=$1
  if [ "$s" -lt 60 ]; then printf '%d s' "$s"; else printf '%d min %02d s' $((s / 60)) $((s % 60)); fi
}
