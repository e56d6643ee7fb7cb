#!/usr/bin/env bash
# The library's rooms compiled for Windows by MinGW-w64, as far as the compiler's front end (no code is made):
#   tests/mingw_test.sh VULKAN_INCLUDE [GLSLANG_INCLUDE]
# The headers of other libraries are this system's: what they say of functions is the same. Fails where a file of Ito's
# does not compile; says that it is skipped where there is no cross compiler.
set -euo pipefail
vulkan="$1" glslang="${2:-}"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
compiler="$(command -v x86_64-w64-mingw32-g++-posix || true)"
[ -n "$compiler" ] || { echo "skipped: no x86_64-w64-mingw32-g++-posix (g++-mingw-w64-x86-64-posix)"; exit 0; }
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# The folders of the system's headers hold those of its own C library too; so one with what is needed alone.
mkdir "$work/include"
system="/usr/include/$(gcc -print-multiarch)"
for header in fmt nlohmann webp stb spirv-tools zlib.h zconf.h png.h pngconf.h pnglibconf.h jpeglib.h jmorecfg.h jconfig.h \
  jerror.h tiff.h tiffio.h tiffconf.h tiffvers.h gif_lib.h; do
  for folder in "$system" /usr/include; do
    if [ -e "$folder/$header" ]; then ln -sfn "$folder/$header" "$work/include/$header"; fi
  done
  [ -e "$work/include/$header" ] || { echo "FAIL: no $header here"; exit 1; }
done

flags=(-std=c++20 -Wall -Wextra -Werror -DFMT_HEADER_ONLY -DVK_NO_PROTOTYPES= -I"$root" -isystem "$work/include"
  -isystem "$work/include/stb" -isystem "$vulkan" ${glslang:+-isystem "$glslang"})
# What most files read first is read once.
mkdir "$work/before"
printf '#include <%s>\n' algorithm array cmath cstdint cstring filesystem fstream functional limits map memory mutex numbers \
  optional random set span string string_view thread utility vector fmt/format.h fmt/ranges.h nlohmann/json.hpp \
  >"$work/before/all.h"
"$compiler" "${flags[@]}" -x c++-header "$work/before/all.h" -o "$work/before/all.h.gch"

# room NAME FILE...: the files of a room as the build takes them, many at once.
room() {
  local name="$1" part=0 status=0
  shift
  while [ $# -gt 0 ]; do
    part=$((part + 1))
    printf '#include "%s"\n' "${@:1:40}" >"$work/$name$part.cpp"
    compile "$name $part" "$work/$name$part.cpp" || status=1
    shift $(($# < 40 ? $# : 40))
  done
  return "$status"
}

compile() {
  local start=$SECONDS
  if ! "$compiler" "${flags[@]}" -fsyntax-only -include "$work/before/all.h" "$2"; then
    echo "FAIL: $1 does not compile for Windows"
    return 1
  fi
  echo "$1: $((SECONDS - start)) s"
}

status=0
for name in base graph runtime nn diffusion io plots statistics ranks api embed; do
  mapfile -t files < <(find "$root/$name" -name '*.cpp' |
    grep -vE '/(base/platform_[a-z]*|ranks/local_ranks_posix|runtime/vk/without_compiler|embed/(api|without_trainings))\.cpp$' |
    sort)
  room "$name" "${files[@]}" || status=1
done
for file in base/platform_windows.cpp embed/api.cpp embed/without_trainings.cpp; do
  compile "$file" "$root/$file" || status=1
done
exit "$status"
