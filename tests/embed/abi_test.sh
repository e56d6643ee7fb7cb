#!/usr/bin/env bash
# The binary interface, compared with what was committed of it (tests/embed/ito.abi) by libabigail:
#   tests/embed/abi_test.sh BUILD VULKAN_INCLUDE           fails on any change
#   tests/embed/abi_test.sh BUILD VULKAN_INCLUDE --renew   writes tests/embed/ito.abi anew
# The types are read from what the compiler says of ito.h in a library that has nothing else; that the built library
# has the same symbol and name is looked at besides. A change may be one that ito.h allows, as a member behind the others:
# so that somebody sees which it is, each is committed together with the new ito.abi.
set -euo pipefail
build="$1" vulkan="$2" renew="${3:-}"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
committed="$root/tests/embed/ito.abi"
command -v abidiff >/dev/null || { echo "skipped: no abidiff (abigail-tools)"; exit 0; }
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

library="$(readlink -f "$build/libito.so")"
soname() { objdump -p "$1" | awk '/SONAME/ { print $2 }'; }
symbols() { nm -D --defined-only "$1" | awk '{ print $3 }' | sed 's/@.*//'; }

# describe FOLDER OUTPUT: the interface of FOLDER/ito/ito.h.
describe() {
  local stub="$work/libito.so"
  cat >"$work/stub.c" <<'C'
#include <ito/ito.h>
ItoResult ito_get_api(uint32_t version, size_t size, ItoApi *api) {
  return version == size && api == NULL ? ITO_OK : ITO_ERROR_UNSUPPORTED;
}
C
  cc -std=c99 -g -fPIC -shared -I"$1" -isystem "$vulkan" -Wl,-soname,"$(soname "$library")" -o "$stub" "$work/stub.c"
  abidw --no-show-locs --no-comp-dir-path --no-corpus-path --short-locs --type-id-style hash \
    --headers-dir "$1/ito" --drop-private-types --out-file "$2" "$stub"
}

describe "$root/include" "$work/now.abi"
if [ "$renew" = --renew ]; then
  cp "$work/now.abi" "$committed"
  echo "wrote $committed"
  exit 0
fi

if [ "$(symbols "$library")" != ito_get_api ]; then
  echo "FAIL: libito.so exports: $(symbols "$library" | tr '\n' ' ')"
  exit 1
fi

abidiff --no-show-locs "$committed" "$work/now.abi" || {
  cat <<'TEXT'
FAIL: ito.h is not what tests/embed/ito.abi says of it. Members behind the last one of a structure, functions behind the
last one of the table and further enumerators are what ito.h allows. With anything else programs that were built before
no longer work: raise the major version in CMakeLists.txt, which is the library's SONAME. Then, in either case:
  tests/embed/abi_test.sh BUILD VULKAN_INCLUDE --renew
TEXT
  exit 1
}

# That breaks would be noticed: a member of another type, and a function put before others.
mkdir -p "$work/changed/ito"
for breaking in 's/^  uint32_t compile_threads;/  uint64_t compile_threads;/' \
  's/^  ItoResult(ITO_CALL \*cancel)(ItoJob job);/  ItoResult(ITO_CALL *pause)(ItoJob job, uint32_t how);\n&/'; do
  sed "$breaking" "$root/include/ito/ito.h" >"$work/changed/ito/ito.h"
  describe "$work/changed" "$work/changed.abi"
  if abidiff "$committed" "$work/changed.abi" >/dev/null; then
    echo "FAIL: abidiff does not notice $breaking"
    exit 1
  fi
done
echo "the interface of $(soname "$library") is the committed one"
