#!/usr/bin/env bash
# Ito as a part of another project, by add_subdirectory:
#   tests/embed/parent_test.sh BUILD VULKAN_INCLUDE
# Fails where Ito changes its parent's settings, brings tests, programs or -Werror along, starts a script that nobody
# asked for, or where the parent cannot compile against it. What a whole build would compile, BUILD has compiled; here
# one room is compiled as the parent does, and of the rest is looked at what would be (ninja -t inputs).
set -euo pipefail
build="$1" vulkan="$2"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
configure=(cmake -S "$root/tests/embed/parent" -G Ninja -DCMAKE_BUILD_TYPE=Release -DITO="$root")
cached() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }

# Without what Ito needs an error says so, and nothing is fetched.
if "${configure[@]}" -B "$work/without" -DITO_SYSTEM_VULKAN_INCLUDE=/nonexistent >"$work/log" 2>&1; then
  echo "FAIL: configured without Vulkan headers"
  exit 1
fi
grep -q 'DITO_FETCH=ON' "$work/log" || { echo "FAIL: no remedy for missing Vulkan headers:"; cat "$work/log"; exit 1; }

"${configure[@]}" -B "$work/build" -DITO_SYSTEM_VULKAN_INCLUDE="$vulkan" -Dglslang_DIR="$(cached glslang_DIR)" \
  >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
if [ -e "$work/build/CTestTestfile.cmake" ] || grep -q libito "$work/build/ito/cmake_install.cmake"; then
  echo "FAIL: the parent is given tests, or something to install"
  exit 1
fi
(cd "$work/build" && ninja -t inputs with_ito with_static) >"$work/inputs"
for part in 'libito\.so' 'libito\.a' 'ito_embed.*\.o$'; do
  grep -q "$part" "$work/inputs" || { echo "FAIL: the parent's programs do not link $part"; exit 1; }
done
mapfile -t objects < <(ninja -C "$work/build" -t targets all | sed -n 's/^\(.*with_ito.*main\.c\.o\):.*/\1/p')
ninja -j 1 -C "$work/build" ito_base "${objects[@]}" >"$work/log" || { cat "$work/log"; exit 1; }
echo "a part of another project: $(grep -c '\.o$' "$work/inputs") files are compiled for the library"
