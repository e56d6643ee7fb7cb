# shellcheck shell=bash
# Takes files out of the Debian archive without root and without touching the system's own packages:
# a private apt state, and a mirror derived from the machine's own apt configuration.
# Sourced after common.sh. Not for: installing packages (setup.sh does that).

# debian_mirror: prints the URI of the Debian archive this machine is set up to use, with a final
# slash. ITO_DEBIAN_MIRROR overrides it, for systems whose own apt knows no Debian archive.
debian_mirror() {
  local uri codename
  if [ -n "${ITO_DEBIAN_MIRROR:-}" ]; then
    printf '%s/\n' "${ITO_DEBIAN_MIRROR%/}"
    return
  fi
  codename="$(. /etc/os-release && [ "${ID:-}" = debian ] && echo "${VERSION_CODENAME:-}")" || codename=""
  [ -n "$codename" ] ||
    fail "this system is not Debian, so no Debian archive is configured; set ITO_DEBIAN_MIRROR to one, or install a Vulkan SDK and Mesa 26 or newer"
  # shellcheck disable=SC2016 # apt's own placeholders
  uri="$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk -v c="$codename" '($1 == c || $1 == c "-updates") && $2 == "main" { print $3; exit }')"
  case "$uri" in
    mirror+file:*) # a file that lists mirrors, one a line
      uri="$(awk '/^[^#]/ { print $1; exit }' "/${uri#mirror+file:*/}")" ;;
  esac
  [ -n "$uri" ] || fail "apt has no source for Debian $codename main; set ITO_DEBIAN_MIRROR to a Debian archive"
  printf '%s/\n' "${uri%/}"
}

# private_apt_config DIR [SUITE...]: sets up an apt state of its own in DIR and writes DIR/apt.conf.
# With suites: only those of Debian main, seen by an apt which believes that nothing is installed, so
# that it resolves a complete closure. Without: the machine's own sources and installed packages.
private_apt_config() {
  local dir="$1" suite mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  shift
  mkdir -p "$dir"/state/lists/partial "$dir"/cache/archives/partial "$dir"/sources "$dir"/preferences
  cat >"$dir/apt.conf" <<END
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
Debug::NoLocking "true";
Dir::State "$dir/state";
Dir::State::status "/var/lib/dpkg/status";
Dir::Cache "$dir/cache";
Acquire::Retries "5";
APT::Update::Error-Mode "any";
Acquire::Languages { "none"; };
APT::Sandbox::User "";
APT::Install-Recommends "false";
END
  [ $# -gt 0 ] || return 0
  mirror="$(debian_mirror)"
  : >"$dir/status"
  for suite in "$@"; do
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n' "$mirror" "$suite"
    [ ! -e "$keyring" ] || printf 'Signed-By: %s\n' "$keyring"
    printf '\n'
  done >"$dir/sources/ito.sources"
  cat >>"$dir/apt.conf" <<END
Dir::State::status "$dir/status";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$dir/sources";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "$dir/preferences";
END
}

# debian_closure DIR OUT APT_ARGUMENT...: downloads into OUT what `apt-get install APT_ARGUMENT...`
# would install under the configuration that private_apt_config wrote to DIR. apt checks signatures.
debian_closure() {
  local dir="$1" out="$2"
  shift 2
  debian_update "$dir"
  retry apt-get -qq -y -c "$dir/apt.conf" --no-install-recommends --download-only install "$@"
  mkdir -p "$out"
  find "$dir/cache/archives" -maxdepth 1 -name '*.deb' -exec mv -t "$out" {} +
}

# debian_package DIR OUT NAME: downloads the one package NAME into OUT, installed or not.
debian_package() {
  debian_update "$1"
  mkdir -p "$2"
  (cd "$2" && retry apt-get -qq -c "$1/apt.conf" download "$3")
}

# debian_update DIR: fetches the package lists of the configuration in DIR, once.
debian_update() {
  [ ! -e "$1/updated" ] || return 0
  retry apt-get -qq -c "$1/apt.conf" update
  touch "$1/updated"
}

# debian_pool_files OUT < LIST: downloads files by their pinned place in the archive. LIST has lines
# `SHA256 POOL_PATH`; apt-helper refuses a file whose checksum differs. No package index is needed.
# Fails where one of them cannot be had.
debian_pool_files() {
  local out="$1" status=0 mirror sha path arguments=()
  mirror="$(debian_mirror)"
  mkdir -p "$out"
  while read -r sha path; do
    case "$sha" in '' | '#'*) continue ;; esac
    # ':' of an epoch never occurs in pool names; '+' and '~' are plain characters in a URI path.
    arguments+=("$mirror$path" "$out/$(basename "$path")" "SHA256:$sha")
  done
  private_apt_config "$out/.apt"
  retry /usr/lib/apt/apt-helper -qq -c "$out/.apt/apt.conf" download-file "${arguments[@]}" || status=1
  rm -rf "$out/.apt"
  return "$status"
}

# unpack_debs ROOT DEB...: unpacks packages into ROOT; nothing of them is run.
unpack_debs() {
  local root="$1" deb
  shift
  mkdir -p "$root"
  for deb in "$@"; do dpkg-deb -x "$deb" "$root"; done
}

# locked_debs OUT LOCK RELEASE SUITES PACKAGE...: downloads into OUT the packages that the file LOCK pins
# (amd64) or, elsewhere and where the archive has moved on, the closure of PACKAGES in RELEASE as it is today.
# SUITES: those to look in, with spaces between.
locked_debs() {
  local out="$1" lock="$2" release="$3" suites
  read -ra suites <<<"$4"
  shift 4
  if [ "$(uname -m)" = x86_64 ]; then
    if debian_pool_files "$out" <"$lock"; then return; fi
    note "what $(basename "$lock") pins cannot be had from the archive; trying the current packages"
    rm -rf "$out"
  fi
  mkdir "$out"
  private_apt_config "$out/.apt" "${suites[@]}"
  debian_closure "$out/.apt" "$out" -t "$release" "$@"
  rm -rf "$out/.apt"
}

# print_lock LOCK RELEASE SUITES PACKAGE...: prints a fresh LOCK, its comments kept.
print_lock() {
  local lock="$1" release="$2" suites scratch path file
  read -ra suites <<<"$3"
  shift 3
  scratch="$(mktemp -d)"
  private_apt_config "$scratch/.apt" "${suites[@]}"
  debian_closure "$scratch/.apt" "$scratch" -t "$release" "$@"
  grep '^#' "$lock"
  apt-get -qq -y -c "$scratch/.apt/apt.conf" -t "$release" --print-uris install "$@" |
    sed -nE "s|^'[^']*/(pool/[^']*)' ([^ ]+) .*|\1 \2|p" |
    sed -e 's/%2b/+/g' -e 's/%7e/~/g' -e 's/%3a/:/g' |
    while read -r path file; do
      printf '%s %s\n' "$(sha256sum "$scratch/${file//:/%3a}" | cut -d' ' -f1)" "$path"
    done | sort -k2
  rm -rf "$scratch"
}
