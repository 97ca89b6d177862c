#!/usr/bin/env bash
# Brings llama.cpp v0.5.0 into a folder, for SPECDEC_LLAMA_ROOT:
#
#   bash tests/llama_cpp/install.sh build/llama.cpp
#
# The npm package node-llama-cpp carries llama.cpp's sources, and its companion for the platform the libraries, built. No
# script of theirs is run: the headers go to include/, the libraries to lib/. Does nothing, and needs no network, if they
# are there. Where that cannot be, it says why, as one line, and fails.
set -euo pipefail

version=3.22.1

fail() {
  printf '%s\n' "$1"
  exit 1
}

(($# == 1)) || fail "usage: install.sh FOLDER"
mkdir -p "$1"
folder=$(cd "$1" && pwd)
[[ $(cat "$folder/version" 2>/dev/null || true) != "$version" ]] || exit 0

case $(uname -s)-$(uname -m) in
  Linux-x86_64) platform=linux-x64 ;;
  Linux-aarch64) platform=linux-arm64 ;;
  Darwin-arm64) platform=mac-arm64-metal ;;
  Darwin-x86_64) platform=mac-x64 ;;
  *) fail "node-llama-cpp has no libraries of llama.cpp for $(uname -s) on $(uname -m)" ;;
esac
for program in npm git tar; do
  command -v "$program" >/dev/null || fail "$program, which would bring llama.cpp, is not installed"
done

work=$(mktemp -d "$folder/incoming.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

# Each package by itself: what they depend on is for node.
fetch() {
  npm pack --loglevel error --ignore-scripts "$1@$version" >archive 2>messages ||
    fail "npm cannot bring $1 $version: $(grep -v '^$' messages | head -n 1)"
  mkdir "$2"
  tar -xzf "$(tail -n 1 archive)" --strip-components=1 -C "$2"
}
fetch node-llama-cpp sources
fetch "@node-llama-cpp/$platform" libraries

git init --quiet history
git -C history fetch --quiet "$work/sources/llama/gitRelease.bundle" HEAD
git -C history archive FETCH_HEAD LICENSE include ggml/include | tar -x
mkdir -p new/include new/lib
cp include/*.h ggml/include/*.h new/include/
cp LICENSE new/
cp "libraries/bins/$platform/"*.* new/lib/
# By the names that programs are linked with; the versions are in the names that they load.
for library in new/lib/*.v0.*; do
  name=${library##*/}
  ln -sf "$name" "new/lib/${name%%.v0.*}.${name##*.}"
done

rm -rf "$folder/include" "$folder/lib" "$folder/LICENSE"
mv new/* "$folder/"
printf '%s\n' "$version" >"$folder/version"
