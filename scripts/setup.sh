#!/usr/bin/env bash
# Installs what building Ito needs and is missing, through the system's package manager:
#   scripts/setup.sh            what the build and the program need
#   scripts/setup.sh --tests    and what scripts/test.sh, with-gpu-compiler and lint.sh need
# As root or with sudo. With everything in place it changes nothing and needs neither. quickstart.sh
# and test.sh call it. Not for: glslang, Vulkan headers and drivers, which third_party/ and the with-*
# scripts keep in the user's cache folder.
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

packages=(
  g++ cmake ninja-build                                   # the build
  libfmt-dev nlohmann-json3-dev libcli11-dev libstb-dev zlib1g-dev spirv-tools
  libpng-dev libjpeg62-turbo-dev libwebp-dev libtiff-dev libgif-dev  # reading pictures
  libgtest-dev libgmock-dev                               # the tests, which the build includes
  libvulkan1                                              # the loader that the program opens
  dataset-fashion-mnist                                   # what the shipped model learns
)
case "${1:-}" in
  --tests)
    packages+=(
      vulkan-validationlayers                             # every test on a device runs under them
      pkg-config bison flex python3 python3-mako python3-yaml python3-packaging libdrm-dev libexpat1-dev  # GPU compilers
      libvulkan-dev libglfw3-dev libimgui-dev glslang-tools xvfb xauth  # hosts that embed Ito: examples/
      qt6-declarative-dev qml6-module-qtquick qml6-module-qtqml-workerscript
      openmpi-bin libopenmpi-dev mpich libmpich-dev procps  # several ranks
      clang-tidy                                          # scripts/lint.sh
      abigail-tools dpkg-dev g++-mingw-w64-x86-64-posix   # the library's interface, packages, Windows
      clang libclang-rt-dev                               # scripts/fuzz
      python3-numpy python3-pil                           # scripts/corpora
      faketime                                            # clocks that jump: tests/faults
      chromium                                            # looks at reports of runs
    )
    ;;
  "") ;;
  *) fail "unknown option $1; --tests installs what the tests need" ;;
esac

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

command -v apt-get >/dev/null || {
  note "no apt-get here: make sure that the equivalents of these are installed: ${packages[*]}"
  exit 0
}

# glslang-dev's CMake package asks for the programs too, without depending on them.
if installed glslang-dev; then packages+=(glslang-tools); fi

missing=()
for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
[ "${#missing[@]}" -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || fail "these packages are missing, and installing them takes root or sudo: ${missing[*]}"
  as_root=(sudo)
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=5 "$@" >/dev/null; }

note "installing ${missing[*]}"
# Stale package lists name files that are gone; fresh ones are cheap.
retry apt update || fail "apt-get update does not succeed"

# What only some distributions have, or have new enough (third_party/ supplies it elsewhere).
offers() { # offers PACKAGE VERSION: whether the distribution has it, this new at least
  local candidate
  candidate="$(apt-cache policy "$1" | awk '/Candidate:/ && $2 != "(none)" { print $2 }')"
  [ -n "$candidate" ] && dpkg --compare-versions "$candidate" ge "$2"
}
if offers libspirv-tools-dev 0; then missing+=(libspirv-tools-dev); fi
if offers libvulkan-dev 1.4.309; then missing+=(libvulkan-dev); fi
if offers glslang-dev 15.1; then missing+=(glslang-dev glslang-tools); fi
retry apt install -y --no-install-recommends "${missing[@]}" || fail "apt-get cannot install: ${missing[*]}"
