#!/usr/bin/env bash
# That the library without a compiler of kernels stays small, stripped:
#   tests/embed/size_test.sh LIBRARY BYTES
# Of a library that is not built it says so, and how to; its own build tree takes minutes.
set -euo pipefail
library="$1" most="$2"
if [ ! -e "$library" ]; then
  echo "skipped: there is no $library; cmake --preset small && cmake --build --preset small makes it"
  exit 0
fi
stripped="$(mktemp)"
trap 'rm -f "$stripped"' EXIT
strip --strip-unneeded -o "$stripped" "$library"
bytes="$(stat -c %s "$stripped")"
echo "$library: $bytes bytes stripped"
if [ "$bytes" -gt "$most" ]; then
  echo "FAIL: more than $most bytes"
  exit 1
fi
