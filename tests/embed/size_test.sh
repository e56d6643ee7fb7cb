#!/usr/bin/env bash
# That libraries without a compiler of kernels stay small, stripped:
#   tests/embed/size_test.sh LIBRARY BYTES [LIBRARY BYTES]...
# Of one that is not built it says so: that of ITO_COMPILER=OFF takes minutes, so continuous integration sees the same
# rooms as they are built for speed, under a bound of their own.
set -euo pipefail
stripped="$(mktemp)"
trap 'rm -f "$stripped"' EXIT
seen=0 failures=0
while [ $# -ge 2 ]; do
  library="$1" most="$2"
  shift 2
  if [ ! -e "$library" ]; then
    echo "not built: $library"
    continue
  fi
  strip --strip-unneeded -o "$stripped" "$library"
  bytes="$(stat -c %s "$stripped")"
  echo "$library: $bytes bytes stripped, at most $most"
  seen=$((seen + 1))
  [ "$bytes" -le "$most" ] || failures=$((failures + 1))
done
if [ "$failures" -gt 0 ]; then
  echo "FAIL: $failures are larger"
  exit 1
fi
if [ "$seen" -eq 0 ]; then
  echo "skipped: none of them is built; cmake --preset small && cmake --build --preset small --target ito_library makes the small one"
fi
