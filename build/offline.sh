#!/bin/sh
# ism @VERSION@ for Linux in one file: this script, and packed behind it Deno and the program. The first start unpacks
# them into the user's cache folder, each later one finds them there. Names begin with _ism_ so that no variable of the
# environment changes on the way. -nt and -ef are of POSIX since 2024, and older in every shell of Linux:
# shellcheck disable=SC3013
_ism_name=@NAME@
# What the program loads when it is needed: names, and NAME:BEGIN:BYTES of each in this file.
_ism_part_names='@PART_NAMES@'
_ism_parts='@PARTS@'

# Is BASE/NAME complete, ours, and on a file system where programs may run?
_ism_ready() {
  [ -x "$1/$_ism_name/deno" ] && [ -s "$1/$_ism_name/ism.js" ] &&
    [ -O "$1" ] && [ -O "$1/$_ism_name/deno" ] && [ -O "$1/$_ism_name/ism.js" ] || return 1
  for _ism_part in $_ism_part_names; do
    [ -s "$1/$_ism_name/$_ism_part" ] && [ -O "$1/$_ism_name/$_ism_part" ] || return 1
  done
}

# Becomes the program: BASE ARGS...
_ism_start() {
  _ism_at=$1/$_ism_name
  shift
  # Tells the start of another version that this one is wanted; where nothing can be written nothing is removed either.
  { true >"$_ism_at/used"; } 2>/dev/null
  # What is changed for Deno alone: programs that ism starts get back what was there.
  _ISM_ENVIRONMENT=1
  export _ISM_ENVIRONMENT
  if [ -n "${DENO_DIR+x}" ]; then export _ISM_DENO_DIR="$DENO_DIR"; fi
  if [ -n "${DENO_NO_UPDATE_CHECK+x}" ]; then export _ISM_DENO_NO_UPDATE_CHECK="$DENO_NO_UPDATE_CHECK"; fi
  DENO_DIR=$_ism_at/cache DENO_NO_UPDATE_CHECK=1
  export DENO_DIR DENO_NO_UPDATE_CHECK
  exec "$_ism_at/deno" run @FLAGS@ "$_ism_at/ism.js" "$@"
}

# Somebody else's home is no place for programs that this user starts.
_ism_home=
[ -n "${HOME-}" ] && [ -O "$HOME" ] && _ism_home=$HOME/.cache/ism
_ism_cache=$_ism_home
case ${XDG_CACHE_HOME-} in /*) _ism_cache=$XDG_CACHE_HOME/ism ;; esac
[ -n "$_ism_cache" ] && _ism_ready "$_ism_cache" && _ism_start "$_ism_cache" "$@"

# From here on is what the first start does, and each start that has no usable cache folder.
_ism_path=${PATH:+$PATH:}/usr/bin:/bin
_ism_id=$(PATH=$_ism_path id -u)
_ism_tmp=
case ${TMPDIR-} in /*) _ism_tmp=$TMPDIR/ism-$_ism_id ;; esac

# Removes what starts of other processes have left that were killed: BASE
_ism_tidy() {
  for _ism_each in "$1"/.new-*; do
    [ -d "$_ism_each" ] || continue
    _ism_pid=${_ism_each##*/.new-}
    kill -0 "${_ism_pid%%-*}" 2>/dev/null || rm -rf "$_ism_each"
  done
}

# Removes other versions that no process runs and nobody has started since SINCE: BASE SINCE
_ism_retire() {
  for _ism_each in "$1"/[0-9]*.*-????????????????; do
    [ "${_ism_each##*/}" != "$_ism_name" ] || continue
    [ -f "$_ism_each/deno" ] || continue
    [ "$_ism_each/used" -nt "$2" ] && continue
    for _ism_exe in /proc/[0-9]*/exe; do
      [ "$_ism_exe" -ef "$_ism_each/deno" ] && continue 2
    done
    rm -rf "$_ism_each"
  done
}

# Unpacks into BASE/NAME; says why it could not.
_ism_unpack() (
  # Not $1: where the trap at the end runs, that may be an argument of the program.
  _ism_into=$1
  PATH=$_ism_path
  command -v gzip >/dev/null || { echo "there is no gzip to unpack with"; exit 1; }
  umask 077
  mkdir -p "$_ism_into" 2>/dev/null
  { [ -d "$_ism_into" ] && [ -w "$_ism_into" ]; } || { echo "it cannot be written"; exit 1; }
  [ -O "$_ism_into" ] || { echo "it belongs to somebody else"; exit 1; }
  _ism_tidy "$_ism_into"
  _ism_new=$_ism_into/.new-$$ _ism_count=0
  until mkdir "$_ism_new" 2>/dev/null; do
    mkdir -p "$_ism_into" 2>/dev/null
    _ism_count=$((_ism_count + 1)) _ism_new=$_ism_into/.new-$$-$_ism_count
    [ "$_ism_count" -lt 9 ] || { echo "no folder can be made in it"; exit 1; }
  done
  trap 'rm -rf "$_ism_new"; rmdir "$_ism_into" 2>/dev/null' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  true >"$_ism_new/begun" || { echo "no file can be made in it"; exit 1; }
  _ism_said=$({
    tail -c +@PROGRAM_AT@ "$0" | head -c @PROGRAM_BYTES@ | gzip -dc >"$_ism_new/ism.js" &&
      for _ism_part in $_ism_parts; do
        _ism_where=${_ism_part#*:}
        tail -c +"${_ism_where%:*}" "$0" | head -c "${_ism_where#*:}" | gzip -dc >"$_ism_new/${_ism_part%%:*}" || exit
      done &&
      tail -c +@DENO_AT@ "$0" | gzip -dc >"$_ism_new/deno"
  } 2>&1) || { echo "${_ism_said:-no room, or this file is damaged}" | tail -n 1; exit 1; }
  if command -v sha256sum >/dev/null; then
    ( cd "$_ism_new" && printf '%s  %s\n' @PROGRAM_SHA256@ ism.js @DENO_SHA256@ deno@PART_SUMS@ | sha256sum -c ) >/dev/null 2>&1 ||
      { echo "what came out has the wrong checksum: copy $0 once more"; exit 1; }
  fi
  chmod 700 "$_ism_new/deno"
  [ -x "$_ism_new/deno" ] || { echo "programs may not run there (noexec)"; exit 1; }
  DENO_DIR=$_ism_new/cache DENO_NO_UPDATE_CHECK=1 "$_ism_new/deno" --version >/dev/null 2>"$_ism_new/said" ||
    { echo "Deno does not run: $(tail -n 1 "$_ism_new/said")"; exit 1; }
  # So that a machine that loses its power does not find a complete folder of empty files.
  sync "$_ism_new"/*.js "$_ism_new/deno" 2>/dev/null
  if ! _ism_ready "$_ism_into"; then
    _ism_to=$_ism_into/$_ism_name
    mkdir -p "$_ism_to" && true >"$_ism_to/used" || exit 1
    for _ism_part in $_ism_part_names; do mv -f "$_ism_new/$_ism_part" "$_ism_to/$_ism_part" || exit 1; done
    mv -f "$_ism_new/ism.js" "$_ism_to/ism.js" &&
      mv -f "$_ism_new/deno" "$_ism_to/deno" || exit 1
  fi
  _ism_retire "$_ism_into" "$_ism_new/begun"
  exit 0
)

_ism_why=
for _ism_turn in ready unpack; do
  for _ism_base in "$_ism_cache" "$_ism_home" "$_ism_tmp" "/tmp/ism-$_ism_id" "/var/tmp/ism-$_ism_id" "/dev/shm/ism-$_ism_id"; do
    [ -n "$_ism_base" ] || continue
    # In a folder that everybody can write in, a link of this name may be somebody else's.
    case $_ism_base in "$_ism_cache" | "$_ism_home") ;; *) [ -h "$_ism_base" ] && continue ;; esac
    if [ "$_ism_turn" = unpack ]; then
      _ism_said=$(_ism_unpack "$_ism_base" 2>&1) || {
        _ism_why="$_ism_why${_ism_why:+; }$_ism_base: $_ism_said"
        continue
      }
    fi
    _ism_ready "$_ism_base" && _ism_start "$_ism_base" "$@"
    [ "$_ism_turn" = unpack ] && _ism_why="$_ism_why${_ism_why:+; }$_ism_base: it was removed at once"
  done
done
printf '%s\n' "ism: cannot unpack itself; set XDG_CACHE_HOME to a folder with @ROOM@ of room where programs may run ($_ism_why)" >&2
exit 4
