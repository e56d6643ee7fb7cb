#!/usr/bin/env bash
# Installs the library into a folder of its own and uses it from there as a host's build does:
#   tests/embed/installed_test.sh BUILD VULKAN_INCLUDE
# Fails where it exports anything but ito_*, has not the SONAME of its version, is larger than 12 MB, or where a
# C99 and a C++ file do not compile against its header alone, or no image comes out: of the shared and of the static
# library, by CMake's package and by pkg-config.
set -euo pipefail
build="$1" vulkan="$2"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --component library --prefix "$work/prefix" >/dev/null
library="$(find "$work/prefix" -name 'libito.so.*.*.*')"

static="$(find "$work/prefix" -name libito.a)"
globals_of() { nm "$@" --defined-only | awk 'NF == 3 { print $3 }'; }
for exported in "$(globals_of -D "$library")" "$(globals_of -g "$static")"; do
  foreign="$(grep -v '^ito_' <<<"$exported" || true)"
  if [ -n "$foreign" ]; then
    echo "FAIL: exported besides ito_*: $foreign"
    exit 1
  fi
done
version="${library##*.so.}"
soname="$(objdump -p "$library" | awk '/SONAME/ { print $2 }')"
if [ "$soname" != "libito.so.${version%%.*}" ]; then
  echo "FAIL: the SONAME of version $version is $soname"
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
for program in with_ito with_static face; do
  "$root/scripts/with-lavapipe" "$work/build/$program" "$root/models/fashion-mnist"
done
if ldd "$work/build/with_static" | grep -q libito; then
  echo "FAIL: ito::static wants the shared library"
  exit 1
fi

# Every function of the table has its place in the C++ face.
mapfile -t functions < <(sed -n '/^typedef struct ItoApi {/,/^} ItoApi;/p' "$root/include/ito/ito.h" |
  sed -n 's/.*(ITO_CALL \*\([a-z_]*\))(.*/\1/p')
for name in "${functions[@]}"; do
  grep -qE "\bapi(\(\))?\.$name\b|ItoApi::$name\b" "$root/include/ito/ito.hpp" ||
    { echo "FAIL: ito.hpp lacks $name"; exit 1; }
done

PKG_CONFIG_PATH="$(dirname "$(find "$work/prefix" -name ito.pc)")"
export PKG_CONFIG_PATH
read -ra flags < <(pkg-config --cflags ito)
cc -std=c99 -isystem "$vulkan" -c "$root/tests/embed/consumer/main.c" -o "$work/main.o" "${flags[@]}"
c++ -isystem "$vulkan" -c "$root/tests/embed/consumer/header.cpp" -o "$work/header.o" "${flags[@]}"
read -ra shared < <(pkg-config --libs ito)
cc "$work/main.o" "$work/header.o" -o "$work/shared" "${shared[@]}" -Wl,-rpath,"$(dirname "$library")"
# -lito takes the shared library where both are there; :libito.a names the other.
read -ra whole < <(pkg-config --libs --static ito | sed 's/-lito /-l:libito.a /')
cc "$work/main.o" "$work/header.o" -o "$work/whole" "${whole[@]}"
for linked in shared whole; do
  "$root/scripts/with-lavapipe" "$work/$linked" "$root/models/fashion-mnist"
done
