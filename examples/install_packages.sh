#!/usr/bin/env bash
# Installs what is missing of the named Debian or Ubuntu packages:
#
#   bash examples/install_packages.sh PACKAGE...
#
# Touches nothing, and needs no network, if all are there. Needs root or sudo otherwise; without either it names the
# packages and fails.
set -euo pipefail

fail() {
  printf 'install_packages: %s\n' "$1" >&2
  exit 1
}

missing=()
if command -v dpkg-query >/dev/null; then
  for package in "$@"; do
    state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ $state == installed ]] || missing+=("$package")
  done
else
  fail "expected Debian or Ubuntu; elsewhere, install what these packages hold: $*"
fi
((${#missing[@]} > 0)) || exit 0

become_root=()
if ((EUID != 0)); then
  # With a terminal, sudo may ask for a password; without one it must not wait for it.
  if [[ -t 0 ]] && command -v sudo >/dev/null; then
    become_root=(sudo)
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    become_root=(sudo -n)
  else
    fail "packages are missing; as root, run: apt-get install ${missing[*]}"
  fi
fi

apt() {
  "${become_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 "$@" </dev/null >>"$log" 2>&1
}

install() {
  apt update && apt install --yes --no-install-recommends "${missing[@]}"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
printf 'Installing %s\n' "${missing[*]}"
if ! install; then
  sleep 5
  if ! install; then
    cat "$log" >&2
    fail "apt-get could not install: ${missing[*]}"
  fi
fi
