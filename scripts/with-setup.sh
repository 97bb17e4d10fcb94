#!/bin/sh
# Runs a command in a repository that is ready: sh scripts/with-setup.sh [--for-tests] COMMAND ARGS...
# Installs and builds what is missing, says so on stderr, and is quiet and quick when nothing is. Needs Node >= 20 and npm.
set -eu
cd "$(dirname "$0")/.."
root=$PWD

say() { echo "setup: $*" >&2; }
fail() {
  say "$*"
  exit 1
}

purposes=build
if [ "${1:-}" = --for-tests ]; then
  purposes='build test'
  shift
fi
[ $# -gt 0 ] || fail "usage: sh scripts/with-setup.sh [--for-tests] COMMAND ARGS..."

# --- Debian packages ---

wanted_packages() {
  for purpose in $purposes; do
    sed -n "s/^$purpose //p" scripts/debian-packages.txt
  done
}

missing_packages() {
  for package in "$@"; do
    case $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true) in
      installed) ;;
      *) echo "$package" ;;
    esac
  done
}

# libFuzzer comes in a package that is named after clang's version; clang only recommends it.
fuzzer_package() {
  case $purposes in *test*) ;; *) return 0 ;; esac
  if command -v clang >/dev/null; then echo "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"; fi
}

# Asks nothing: wireshark-common, which tshark needs, has a question for people at a terminal.
apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" >&2
}

# No daemon of a package is started now (policy-rc.d) nor at the next boot: smcroute would take the multicast routing socket.
install_packages() {
  say "installs the Debian packages: $*"
  policy=/usr/sbin/policy-rc.d
  made_policy=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made_policy=yes
  fi
  if apt_install "$@"; then
    installed=yes
  else
    say "tries again with new package lists"
    if apt-get update -q >&2 && apt_install "$@"; then installed=yes; else installed=no; fi
  fi
  [ -z "$made_policy" ] || rm -f "$policy"
  case " $* " in
    *" smcroute "*) if command -v systemctl >/dev/null; then systemctl disable smcroute.service >&2 || true; fi ;;
  esac
  [ "$installed" = yes ] || say "could not install them; what needs them is skipped by name"
}

ensure_packages() {
  # shellcheck disable=SC2046 # words are wanted
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  # shellcheck disable=SC2086
  set -- $missing
  if [ "$(id -u)" = 0 ]; then
    install_packages "$@"
  else
    say "these Debian packages are missing; this installs them: sudo env DEBIAN_FRONTEND=noninteractive apt-get install --no-install-recommends $*"
  fi
}

# --- node modules ---

install_node_modules() {
  command -v npm >/dev/null || fail "npm is missing; install Node 20 or newer, with npm"
  say "installs node modules"
  npm ci --no-audit --no-fund --loglevel=error >&2
  [ -x node_modules/.bin/node ] || fail "npm ci did not install the pinned Node (node_modules/.bin/node)"
}

# --- the addon ---

addon=native/build/Release/mcfleet.node

addon_is_old() {
  [ -e "$addon" ] || return 0
  [ -n "$(find native/src native/binding.gyp native/build.ts -newer "$addon" -print -quit)" ]
}

build_addon() {
  say "builds the native addon"
  node native/build.ts >&2
  touch "$addon"
}

set_up() {
  if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    # shellcheck disable=SC2046
    ensure_packages $(wanted_packages)
    # shellcheck disable=SC2046
    ensure_packages $(fuzzer_package)
  elif ! command -v c++ >/dev/null || ! command -v make >/dev/null || ! command -v ip >/dev/null; then
    say "this is not Debian: install a C++20 compiler, make, python3 and iproute2 if the build fails"
  fi
  if [ ! -x node_modules/.bin/node ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    install_node_modules
  fi
  PATH="$root/node_modules/.bin:$PATH"
  export PATH
  if addon_is_old; then build_addon; fi
}

# One set-up at a time: two commands started together must not install into the same directory.
mkdir -p .cache
exec 9>.cache/setup.lock
if command -v flock >/dev/null; then flock -w 900 9 || fail "another set-up has held .cache/setup.lock for 15 minutes"; fi
set_up
exec 9>&-
exec "$@"
