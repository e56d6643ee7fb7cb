#!/usr/bin/env bash
# Supplies a pinned dependency (versions.txt) in the user's cache folder and prints where it is:
#   third_party/fetch.sh vulkan-headers|glslang
# cmake/dependencies.cmake calls this only for what the system, or a Vulkan SDK, has too old or not
# at all. Done once per version and compiler; later calls, and later clones, find it there.
set -euo pipefail
# shellcheck source=../scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib/common.sh"
# shellcheck source=../scripts/lib/debian.sh
. "$ITO_ROOT/scripts/lib/debian.sh"

[ $# -eq 1 ] || fail "usage: third_party/fetch.sh NAME (a name in third_party/versions.txt)"
name="$1"
read -r version sha256 pool_path < <(
  awk -v n="$name" '$1 == n { print $2, $3, $4 }' "$ITO_ROOT/third_party/versions.txt") ||
  fail "third_party/versions.txt has no entry '$name'"
compiler="${CXX:-c++}"

# download DIR: the pinned file, checksum verified, as DIR/<its name>.
download() {
  note "fetching $name $version"
  printf '%s %s\n' "$sha256" "$pool_path" | debian_pool_files "$1" ||
    fail "cannot download $pool_path with checksum $sha256 from the Debian archive"
}

# vulkan_headers DIR: DIR/include/vulkan and DIR/include/vk_video; no library, the loader is opened
# at run time.
vulkan_headers() {
  download "$1/download"
  unpack_debs "$1/tree" "$1"/download/*.deb
  mv "$1/tree/usr/include" "$1/include"
  rm -rf "$1/download" "$1/tree"
}

# glslang DIR: static release build installed into DIR, at -O1: it builds in three quarters of the time and takes 7%
# longer over a kernel, for which the driver's compiler takes many times as long. Without the optimiser (ito runs SPIRV-Tools
# itself), HLSL, programs and tests: half the build time, and nothing that Ito calls. With RTTI,
# which the undefined-behaviour sanitizer of the `asan` preset asks of every class it meets.
glslang() {
  local source="$1/source" build="$1/build" generator=(-G "Unix Makefiles")
  download "$1/download"
  mkdir "$source"
  tar -xf "$1"/download/*.tar.gz -C "$source" --strip-components=1
  note "building glslang $version with $(basename "$compiler") (about a minute on two cores)"
  if command -v ninja >/dev/null; then generator=(-G Ninja); fi
  {
    cmake -S "$source" -B "$build" "${generator[@]}" -DCMAKE_CXX_COMPILER="$compiler" \
      -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE="-O1 -DNDEBUG" -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DBUILD_SHARED_LIBS=OFF \
      -DENABLE_OPT=OFF -DENABLE_RTTI=ON -DENABLE_HLSL=OFF -DENABLE_GLSLANG_BINARIES=OFF -DENABLE_SPVREMAPPER=OFF \
      -DGLSLANG_TESTS=OFF -DBUILD_EXTERNAL=OFF \
      -DCMAKE_INSTALL_PREFIX="$1" -DCMAKE_INSTALL_LIBDIR=lib &&
      nice cmake --build "$build" --parallel "$(nproc)" &&
      cmake --install "$build"
  } >"$1/build.log" 2>&1 || {
    tail -n 30 "$1/build.log" >&2
    fail "glslang $version does not build with $compiler"
  }
  rm -rf "$1/download" "$source" "$build"
}

case "$name" in
  vulkan-headers) key="$name-$version" fill=vulkan_headers ;;
  glslang)
    key="$name-$version-$(basename "$(readlink -f "$(command -v "$compiler")")")-$("$compiler" -dumpfullversion -dumpversion)"
    fill=glslang
    ;;
  *) fail "third_party/fetch.sh does not know how to supply '$name'" ;;
esac

into_place "$ITO_CACHE/third_party/$key" "$fill"
printf '%s\n' "$ITO_CACHE/third_party/$key"
