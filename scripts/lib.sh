# Shared by the scripts: messages, installation of what is missing, builds. Sourced, not run.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
ROOT=$PWD
unset CC CXX CFLAGS CXXFLAGS LDFLAGS  # the presets say what is built, and with what
JOBS=$(nproc)
TEST_JOBS=$((JOBS + 1))  # a test of the whole program waits for a third of its time
export CCACHE_BASEDIR=$ROOT CCACHE_NOHASHDIR=1 CCACHE_COMPILERCHECK=content

step() { printf '\n==> %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# install_packages GROUP...: the Debian packages of these groups in packages.txt that are not there yet.
install_packages() {
  local groups=" $* " group package missing=()
  while read -r group package; do
    [[ $group == \#* || -z $package || $groups != *" $group "* ]] && continue
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done <scripts/packages.txt
  ((${#missing[@]})) || return 0
  step "installing ${missing[*]}"
  local sudo=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "these Debian packages are missing and only root can install them: ${missing[*]}"
    sudo=(sudo)
  fi
  # Postfix is only a source of test programs: it must not configure or start itself.
  if [[ " ${missing[*]} " == *" postfix "* ]]; then
    echo 'postfix postfix/main_mailer_type select No configuration' | "${sudo[@]}" debconf-set-selections
  fi
  "${sudo[@]}" apt-get update -q || die "apt-get update failed: is the network or a Debian mirror reachable?"
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" ||
    die "apt-get could not install the packages above; install them by hand and run this again"
}

# readable_by USER: may that user read the tree? For root only.
readable_by() { runuser -u "$1" -- test -r "$ROOT/scripts/lib.sh"; }

# build PRESET [TARGET...]
build() {
  local preset=$1
  shift
  step "building preset $preset"
  cmake --preset "$preset" >"/tmp/mansio-configure.$$" 2>&1 || { cat "/tmp/mansio-configure.$$"; rm -f "/tmp/mansio-configure.$$"; die "cmake could not configure preset $preset; its messages are above"; }
  rm -f "/tmp/mansio-configure.$$"
  cmake --build --preset "$preset" -j "$JOBS" ${1:+--target "$@"} || die "preset $preset does not build; the first error is above"
}

# run_tests PRESET [ctest options...]
run_tests() {
  local preset=$1
  shift
  step "testing preset $preset"
  ctest --preset "$preset" -j "$TEST_JOBS" --no-tests=error "$@" || die "tests failed in preset $preset; their output is above and in build/$preset/Testing/Temporary/LastTest.log"
}
