# shellcheck shell=bash
# What check-alerts and check-panels share. Sourced by them after deploy/dev/lib.sh, never run.

# prometheus_has PROGRAM: one of the package's.
prometheus_has() {
  command -v "$1" >/dev/null ||
    die "$1 is not there" "install Debian's prometheus (apt-get install --no-install-recommends prometheus), or run deploy/dev/bootstrap --for test"
}

# Runs a script of this folder, in a Python that has what it needs.
run_python() {
  local script=$1 candidate
  shift
  # A Python of one's own in front of the system's may lack what Debian's package brings.
  for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import tomllib, yaml' 2>/dev/null; then
      PYTHONDONTWRITEBYTECODE=1 exec "$candidate" "deploy/monitoring/$script" "$@"
    fi
  done
  die "Python 3.11 with the module yaml is not there" "install Debian's python3-yaml (apt-get install python3-yaml), or run deploy/dev/bootstrap --for test"
}
