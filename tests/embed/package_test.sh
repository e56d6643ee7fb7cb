#!/usr/bin/env bash
# Debian's package and the tarball, made of what is built:
#   tests/embed/package_test.sh BUILD
# Fails where one lacks a file, where what the program and the library need is not what the package depends on, or
# where the program of the unpacked tarball does not list the devices of Debian's own driver with an empty environment.
# What is not done here: installing it with apt on a fresh system.
set -euo pipefail
build="$(realpath "$1")"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
command -v dpkg-shlibdeps >/dev/null || { echo "skipped: no dpkg-shlibdeps (dpkg-dev)"; exit 0; }
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
(cd "$work" && cpack --config "$build/CPackConfig.cmake" -B "$work" >"$work/log" 2>&1) || { cat "$work/log"; exit 1; }
deb="$(find "$work" -maxdepth 1 -name 'ito_*.deb')" tarball="$(find "$work" -maxdepth 1 -name 'ito-*.tar.gz')"

fail() { echo "FAIL: $*"; exit 1; }
dpkg-deb -x "$deb" "$work/deb"
mkdir "$work/tarball"
tar -xf "$tarball" -C "$work/tarball" --strip-components=1
for prefix in "$work/deb/usr" "$work/tarball"; do
  for file in bin/ito lib/libito.so lib/libito.so.0 lib/libito.a lib/cmake/ito/itoConfig.cmake lib/pkgconfig/ito.pc \
    include/ito/ito.h include/ito/ito.hpp share/doc/ito/copyright; do
    [ -e "$prefix/$file" ] || fail "no $file in ${prefix#"$work/"}"
  done
  if strings -n 6 "$prefix/lib/pkgconfig/ito.pc" "$prefix"/lib/cmake/ito/*.cmake | grep -q "$root\|$build"; then
    fail "a path of this machine in ${prefix#"$work/"}/lib"
  fi
done

# Each library that they are linked with, and the loader that they open, is of a package that this one depends on.
depends="$(dpkg-deb -f "$deb" Depends)"
echo "depends: $depends"
for file in "$work/deb/usr/bin/ito" "$work/deb/usr/lib/libito.so"; do
  objdump -p "$file" | awk '/NEEDED/ { print $2 }'
done | sort -u >"$work/needed"
echo libvulkan.so.1 >>"$work/needed"
while read -r needed; do
  package="$(dpkg -S "*/$(gcc -print-multiarch)/$needed" 2>/dev/null | sed -n 's/:.*//p' | head -n 1)"
  tr ',|' '\n\n' <<<"$depends" | awk '{ print $1 }' | grep -qxF "${package:-none}" ||
    fail "$needed is of ${package:-no package}, on which the package does not depend"
done <"$work/needed"
dpkg-deb -f "$deb" Recommends | grep -q vulkan || fail "no Vulkan driver is recommended"

# Debian's loader and driver; nothing of the environment, and of this tree nothing but that script.
devices="$(cd / && env -i PATH=/usr/bin:/bin HOME="$HOME" ${XDG_CACHE_HOME:+XDG_CACHE_HOME="$XDG_CACHE_HOME"} \
  "$root/scripts/with-system-lavapipe" "$work/tarball/bin/ito" devices)"
grep -qi llvmpipe <<<"$devices" || fail "ito devices says: $devices"
echo "$devices"
echo "$(basename "$deb"): $(stat -c %s "$deb") bytes; $(basename "$tarball"): $(stat -c %s "$tarball") bytes"
