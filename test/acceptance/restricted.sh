#!/usr/bin/env bash
# `demo` and `run` under what deploy/mirrorshard.service allows, as far as that goes without systemd running: a user without a name or any capability, no new
# privileges, a file system that is read-only but for a state folder, and a token that only that user can read. Then the system calls they made
# are held against the unit's SystemCallFilter. Needs root, util-linux, strace, curl and systemd-analyze.
set -u
cd "$(dirname "$0")/../.."
user=64999
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
state=$folder/state
mkdir "$state"
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$folder/token"
chmod 400 "$folder/token"
chown $user:$user "$folder/token" "$state"
main=$PWD/dist/src/main.js
failed=0

check() { # WHAT COMMAND…
  local what=$1
  shift
  if "$@"; then printf 'ok: %s\n' "$what"; else printf 'FAILED: %s\n' "$what"; failed=1; fi
}

# In a mount namespace of its own: everything read-only, the state folder bound over itself writable.
restricted() {
  unshare --mount --propagation private -- bash -c '
    state=$1 user=$2
    shift 2
    mount --bind "$state" "$state" || exit 99
    mount -t tmpfs -o mode=1777 tmpfs /dev/shm 2>/dev/null
    awk "{print \$2}" /proc/self/mounts | while read -r point; do
      case $point in "$state" | /proc*) ;; *) mount -o remount,bind,ro "$point" 2>/dev/null ;; esac
    done
    touch /etc/mirrorshard-can-write 2>/dev/null && { rm -f /etc/mirrorshard-can-write; echo "the file system is writable" >&2; exit 98; }
    exec setpriv --reuid="$user" --regid="$user" --clear-groups --bounding-set=-all --inh-caps=-all --ambient-caps=-all --no-new-privs -- "$@"
  ' bash "$state" "$user" "$@"
}

# A trace of everything below it, the child of setpriv included.
traced() {
  restricted strace -f -qq -c -S name -o "$state/calls-$1" "${@:2}"
}

demo_passes() {
  restricted env HOME=/nonexistent node "$main" demo --requests 400 --workers 2 > "$folder/demo" 2>&1
  local code=$?
  [ $code -eq 0 ] && grep -q 'Passed: 400 requests sent' "$folder/demo" && return 0
  cat "$folder/demo"
  return 1
}
check 'the demo passes: every request over recvmmsg and worker threads, byte-exact' demo_passes

traced_demo_passes() {
  traced demo env HOME=/nonexistent node "$main" demo --requests 200 --workers 1 > "$folder/demo" 2>&1 &&
    grep -q 'Passed: 200 requests sent' "$folder/demo" && return 0
  cat "$folder/demo"
  return 1
}
check 'the demo passes while its system calls are written down' traced_demo_passes

restricted env HOME=/nonexistent MIRRORSHARD_ADMIN_TOKEN_FILE="$folder/token" MIRRORSHARD_SUMMARY="$state/summary.json" \
  node "$main" run --listen 127.0.0.1:0 --to http://127.0.0.1:9 --admin 127.0.0.1:0 --workers 2 2> "$folder/log" &
job=$!
for _ in $(seq 100); do grep -q '"msg":"receiving"' "$folder/log" && break; sleep 0.1; done
port=$(sed -n 's/.*"admin":"127.0.0.1:\([0-9]*\)".*/\1/p' "$folder/log")
[ -n "$port" ] || cat "$folder/log"
status() { curl -s -o /dev/null -w '%{http_code}' "$@"; }
is() { [ "$1" = "$2" ] || { printf 'expected %s, got %s\n' "$2" "$1"; return 1; }; }
check 'run receives' grep -q '"msg":"receiving"' "$folder/log"
check 'health answers without the token' is "$(status "http://127.0.0.1:$port/healthz")" 200
check 'metrics want the token' is "$(status "http://127.0.0.1:$port/metrics")" 401
check 'metrics are had with it' is "$(status -H "Authorization: Bearer $(cat "$folder/token")" "http://127.0.0.1:$port/metrics")" 200
pid=$(pgrep -P $job -f "$main" || echo $job)
check 'it has no capability' is "$(awk '/^Cap(Inh|Prm|Eff|Bnd|Amb)/ {print $2}' "/proc/$pid/status" | sort -u)" 0000000000000000
check 'it may get no privileges' is "$(awk '/^NoNewPrivs/ {print $2}' "/proc/$pid/status")" 1
kill -TERM "$pid"
wait $job
check 'SIGTERM drains and ends with 0' is $? 0
check 'the summary is there, for its owner alone' is "$(stat -c %a "$state/summary.json")" 600

# What the unit lets through: the sets it names, sets inside them included, less those behind ~.
members() {
  systemd-analyze syscall-filter --no-pager "$1" | sed 's/^ *//' | while read -r name; do
    case $name in "$1" | '#'* | '') ;; @*) members "$name" ;; *) echo "$name" ;; esac
  done
}
if command -v systemd-analyze > /dev/null; then
  { members @system-service; members @pkey; } | sort -u > "$folder/allowed"
  { members @privileged; members @resources; } | sort -u > "$folder/denied"
  awk '$1 ~ /^[0-9.]+$/ && $NF ~ /^[a-z]/ && $NF != "total" {print $NF}' "$state/calls-demo" | sort -u > "$folder/made"
  comm -23 "$folder/allowed" "$folder/denied" > "$folder/filter"
  # @default is let through always.
  members @default | sort -u - "$folder/filter" -o "$folder/filter"
  printf '%d kinds of system call were made, %d are let through\n' "$(wc -l < "$folder/made")" "$(wc -l < "$folder/filter")"
  # Made by setpriv and env before the program starts, or refused with EPERM and done without.
  comm -23 "$folder/made" "$folder/filter" > "$folder/outside"
  [ -s "$folder/outside" ] && { echo 'outside of the filter:'; cat "$folder/outside"; }
  check 'every system call is one the unit lets through' test ! -s "$folder/outside"
else
  echo 'skipped: the system calls, systemd-analyze is not there'
fi
exit $failed
