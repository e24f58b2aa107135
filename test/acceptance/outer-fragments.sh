#!/usr/bin/env bash
# Mirrored datagrams whose outer IP packets are fragmented, live: a network namespace of its own whose loopback has an MTU of 1,280 bytes.
# Needs root, ip, unshare and python3; the interface needs package cap built. What is missing is said, and skipped.
set -u
for program in ip unshare python3; do
  command -v $program > /dev/null || { echo "skipped: no $program"; exit 0; }
done
unshare -n true 2> /dev/null || { echo 'skipped: no network namespace may be made here'; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
within() { # MODE
  echo "=== $1"
  # A second, so that the kernel gives up within the check.
  unshare -n sh -c "ip link set lo mtu 1280 up && { echo 1 > /proc/sys/net/ipv4/ipfrag_time || true; } && exec node test/acceptance/outer-fragments.mjs $1 $folder/$1.json"
}
within sockets || exit 1
if [ -e node_modules/cap/build/Release/cap.node ]; then within interface || exit 1
else echo 'skipped: interface, package cap is not built'
fi
