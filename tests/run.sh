#!/usr/bin/env bash
# Builds and runs the tests. This is the tier for every change:
#
#   bash tests/run.sh                the stages quick, gcc-part and sanitize-part
#   bash tests/run.sh gcc clang      these stages
#
# They are named below, each a preset of CMakePresets.json. Fails if a test does, or cannot be run. Starts from a bare
# Debian 12 (Ubuntu 24.04 is untried): missing packages are installed (examples/install_packages.sh), and llama.cpp is
# brought by npm (llama_cpp/install.sh). Where that cannot be, the tests of its adapter are skipped, and say why.
#
# full.sh goes on with other compilers, machines and tools.
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/stages.sh

stages=(
  "quick          everything, built fast: Clang, warnings are errors"
  "gcc-part       arithmetic, laws and rules, as users compile them: GCC, optimised, every instruction set"
  "sanitize-part  arithmetic, batches, snapshots, bad input: Clang, AddressSanitizer, UndefinedBehaviorSanitizer"
  "gcc            everything, as users compile it: GCC, optimised, every instruction set"
  "clang          everything: Clang"
  "sanitize       everything: Clang, AddressSanitizer, UndefinedBehaviorSanitizer"
)
stage_quick() { preset quick; }
stage_gcc_part() { preset gcc-part; }
stage_sanitize_part() { preset sanitize-part; }
stage_gcc() { preset gcc; }
stage_clang() { preset clang; }
stage_sanitize() { preset sanitize; }

(($# > 0)) || set -- quick gcc-part sanitize-part
run_stages "$@"
((skipped == 0))
