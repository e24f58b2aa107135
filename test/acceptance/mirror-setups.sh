#!/usr/bin/env bash
# Wrong set-ups of a real Linux mirror, one after the other: what `run`, /diagnose and `doctor` say of each. Network namespaces of its own,
# which it takes away again. Needs root, ip and tc; what is missing is said, and skipped. With nft further set-ups are tried.
#   mirror-setups.sh [--only NAME,…] [--write]      --write: the table of docs/diagnose.md
set -u
for program in ip tc; do
  command -v $program > /dev/null || { echo "skipped: no $program"; exit 0; }
done
unshare -n true 2> /dev/null || { echo 'skipped: no network namespace may be made here'; exit 0; }
unshare -n ip link add name try0 type vxlan id 1 dstport 4789 2> /dev/null || { echo 'skipped: this kernel makes no vxlan device'; exit 0; }
exec node test/acceptance/mirror-setups/main.mjs "$@"
