#!/usr/bin/env bash
# clang-tidy with the checks of .clang-tidy over a bounded set of files, so that it stays within two
# minutes on two cores: base, the readers of untrusted files, and the passes of the compiler.
#   scripts/lint.sh [FILE.cpp...]
# Needs nothing built. Exit status 0 only when nothing is found.
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
cd "$ITO_ROOT"

files=("$@")
if [ "${#files[@]}" -eq 0 ]; then
  # What is for Windows needs its headers; tests/mingw_test.sh compiles it.
  mapfile -t files < <(printf '%s\n' base/*.cpp | grep -v platform_windows)
  files+=(graph/passes/*.cpp
    io/{append_file,compress,file,file_kind,file_lock,host_tensor,image,json,jsonl,npy,pack_file,pickle,png,safetensors,tar,torch_file,weights,zip}.cpp
    io/pictures/*.cpp statistics/*.cpp)
fi
# clang reads neither g++'s precompiled headers nor its names of warnings; the includes of each file do.
# One file at a time, where the build takes several.
commands=build/lint/clang
mkdir -p "$commands"
cmake --preset release -B build/lint -DITO_UNITY=OFF -DITO_TESTS=OFF >/dev/null
sed -E 's/ -Winvalid-pch| -fpch-preprocess| -include [^ "]*cmake_pch\.hxx| -Wno-(array-bounds|restrict|stringop-[a-z]+|maybe-uninitialized)//g; s/ -Wconversion/ -Wconversion -Wno-sign-conversion/g' \
  build/lint/compile_commands.json >"$commands/compile_commands.json"
printf '%s\0' "${files[@]}" |
  xargs -0 -n 1 -P "$(nproc)" clang-tidy -p "$commands" --quiet 2> >(grep -v 'warnings\? generated' >&2)
note "clang-tidy: ${#files[@]} files, nothing found"
