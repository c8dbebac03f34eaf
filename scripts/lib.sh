# SPDX-License-Identifier: BSD-3-Clause
# Shared by scripts/demo and scripts/test: Debian packages and build directories. Sourced by bash, not run.
# Knows nothing of what is built.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What a build needs; nothing of it is downloaded from elsewhere.
build_packages=(build-essential meson ninja-build pkg-config libdpdk-dev libboost-dev libexpected-dev libfmt-dev
  libcli11-dev nlohmann-json3-dev libgtest-dev libbenchmark-dev)
# What the tests need besides: a second compiler, peers that others wrote, and namespaces to meet them in.
test_packages=(clang iproute2 nftables curl wrk netcat-openbsd nginx-light python3 tshark procps)

say() { printf '%s\n' "$*" >&2; }

die() {
  local code=$1
  shift
  say "$*"
  exit "$code"
}

# Prints those of the given packages that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || printf '%s\n' "$package"
  done
}

# Whether the package lists know every one of the given packages.
lists_know() {
  local package
  for package in "$@"; do
    apt-cache policy "$package" 2>/dev/null | grep -q 'Candidate: [^(]' || return 1
  done
}

# Installs what is missing of the given packages, and says so first.
ensure_packages() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    command -v meson >/dev/null || die 3 "This is no Debian: install the equivalents of these packages first: $*"
    return 0
  fi
  local missing
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]} == 0)) && return 0

  local as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null ||
      die 3 "Packages are missing, and installing them needs root: su -c 'apt-get install ${missing[*]}'"
    as_root=(sudo)
  fi
  # wireshark's package asks who may capture; nobody has to for these tests.
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get)
  say "Installing: apt-get install --yes --no-install-recommends ${missing[*]}"
  if ! lists_know "${missing[@]}"; then
    say "The package lists are out of date, so first: apt-get update"
    "${apt[@]}" update -qq >&2 || die 3 "apt-get update failed: see above; is the network reachable?"
  fi
  local install=("${apt[@]}" install --yes --no-install-recommends -qq "${missing[@]}")
  # A list that is some weeks old names versions that are gone: once more with a new one.
  "${install[@]}" >&2 || { "${apt[@]}" update -qq >&2 && "${install[@]}" >&2; } ||
    die 3 "apt-get install failed: see above."
}

# configure DIR [MESON-ARGUMENTS]: once; later changes of meson.build are seen by ninja itself.
configure() {
  local dir=$1
  shift
  [[ -f $dir/build.ninja ]] && return 0
  # What a set-up that failed leaves behind holds nothing worth keeping, and a new one would stumble over it.
  if [[ -f $dir/meson-private/cmd_line.txt ]]; then
    meson setup --wipe "$dir" "$root" "$@" >&2
  else
    meson setup "$dir" "$root" "$@" >&2
  fi
}

# build DIR [TARGETS]: quiet unless something is wrong.
build() {
  local dir=$1
  shift
  ninja -C "$dir" --quiet "$@" >&2
}
