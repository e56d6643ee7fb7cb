#!/usr/bin/env bash
# Installs the library into a folder of its own and uses it from there as a host's build does:
#   tests/embed/installed_test.sh BUILD VULKAN_INCLUDE
# Fails where it exports anything but ito_*, is larger than 12 MB, or where a C99 and a C++ file do not
# compile against its header alone, or no image comes out, by CMake's package and by pkg-config.
set -euo pipefail
build="$1" vulkan="$2"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --component library --prefix "$work/prefix" >/dev/null
library="$(find "$work/prefix" -name 'libito.so.*.*.*')"

foreign="$(nm -D --defined-only "$library" | awk '$3 !~ /^ito_/ { print $3 }')"
if [ -n "$foreign" ]; then
  echo "FAIL: exported besides ito_*:" $foreign
  exit 1
fi
strip --strip-unneeded -o "$work/stripped" "$library"
bytes="$(stat -c %s "$work/stripped")"
echo "exports $(nm -D --defined-only "$library" | wc -l) symbol, $bytes bytes stripped"
if [ "$bytes" -gt 12000000 ]; then
  echo "FAIL: larger than 12 MB"
  exit 1
fi

cmake -S "$root/tests/embed/consumer" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_PREFIX_PATH="$work/prefix" -Dito_VULKAN_INCLUDE="$vulkan" >/dev/null
cmake --build "$work/build" >/dev/null
"$root/scripts/with-lavapipe" "$work/build/consumer" "$root/models/fashion-mnist"

flags="$(PKG_CONFIG_PATH="$(dirname "$(find "$work/prefix" -name ito.pc)")" pkg-config \
  --define-variable=prefix="$work/prefix" --cflags --libs ito)"
# shellcheck disable=SC2086 # flags are words
cc -std=c99 -isystem "$vulkan" -c "$root/tests/embed/consumer/main.c" -o "$work/main.o" $flags
c++ -isystem "$vulkan" -c "$root/tests/embed/consumer/header.cpp" -o "$work/header.o" $flags
# shellcheck disable=SC2086
cc "$work/main.o" "$work/header.o" -o "$work/again" $flags -Wl,-rpath,"$(dirname "$library")"
"$root/scripts/with-lavapipe" "$work/again" "$root/models/fashion-mnist"
