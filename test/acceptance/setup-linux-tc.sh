#!/usr/bin/env bash
# docs/setup/linux-tc.md as it stands: runs the page's blocks in their order, in network namespaces of its own, and compares what production
# received with what staging received, byte for byte. Needs root, ip, tc, curl, and a kernel with the parts that the page names. What is missing is said,
# and skipped. The block that installs (`sh build`) is left out: this script runs in a built checkout.
set -u
page=docs/setup/linux-tc.md
names='client shop mirror'

skip() { echo "skipped: $1"; exit 0; }
for program in ip tc curl node; do command -v $program > /dev/null || skip "no $program"; done
[ "$(id -u)" -eq 0 ] || skip 'not root'
[ -e dist/src/main.js ] || { echo 'run npm run build first'; exit 1; }
for name in $names; do
  [ -e "/run/netns/$name" ] && { echo "there is a network namespace $name already: this script would end with deleting it"; exit 1; }
done

# What the page's commands need of the kernel and of this sandbox, tried on a namespace that goes away again.
try=mirrorshard-try-$$
possible() {
  ip netns add $try && ip netns exec $try true &&
    ip -n $try link add a type veth peer name b && ip -n $try link set a up &&
    ip -n $try link add v type vxlan id 1 local 127.0.0.1 remote 127.0.0.1 dstport 4789 &&
    tc -n $try qdisc add dev a clsact &&
    tc -n $try filter add dev a ingress protocol ip u32 match u32 0 0 action mirred egress mirror dev v &&
    tc -n $try filter add dev a egress protocol all bpf bytecode '1,6 0 0 0' action mirred egress mirror dev v
}
why=$(possible 2>&1); can=$?
ip netns del $try 2> /dev/null
[ $can -eq 0 ] || skip "the kernel or the sandbox lacks a part: $(printf '%s' "$why" | head -n 1)"

folder=$(mktemp -d)
cleanup() {
  # Children of the blocks' shell that it left: those in our namespaces, and no others.
  for name in $names; do
    [ -e "/run/netns/$name" ] || continue
    for pid in $(ip netns pids $name); do kill "$pid" 2> /dev/null; done
    ip netns del $name
  done
  rm -rf "$folder"
}
trap cleanup EXIT

awk '/^```sh$/ { inside = 1; next } /^```/ { inside = 0 } inside' $page > "$folder/blocks.sh"
grep -q 'tc -n shop qdisc add' "$folder/blocks.sh" || { echo "$page has no blocks that make a mirror"; exit 1; }
# The page's own temporary folder is ours, so that it can be compared and removed.
TMPDIR=$folder timeout 120 bash -eu -o pipefail "$folder/blocks.sh" > "$folder/printed" 2>&1
code=$?
[ $code -eq 0 ] || { echo "the blocks ended with $code:"; tail -n 40 "$folder/printed"; exit 1; }

work=$(dirname "$folder"/tmp.*/staging.log)
WORK=$work node --input-type=module <<'END' || { cat "$work/mirrorshard.log"; exit 1; }
import { readFileSync } from 'node:fs'
const read = (name) => readFileSync(`${process.env.WORK}/${name}`, 'latin1')
/** What follows the last request that came before the ones to compare: these have no body. */
const after = (text, target) => {
  const start = text.lastIndexOf(`GET ${target} HTTP/1.1\r\n`)
  if (start < 0) throw new Error(`there is no request for ${target}`)
  return text.slice(text.indexOf('\r\n\r\n', start) + 4)
}
// docs/replay.md, "What changes, and nothing else": all else must be equal.
const received = after(read('shop.log'), '/first').replace(/^Expect: 100-continue\r\n/gm, '')
const replayed = after(read('staging.log'), '/is-staging-up').replace(/^X-(?:Forwarded-[A-Za-z]+|Mirrorshard): .*\r\n/gm, '')
const requests = received.match(/[A-Z]+ \S+ HTTP\/1\.1\r/g)?.length ?? 0
if (requests !== 12) throw new Error(`production received ${requests} requests, not the page's 12`)
if (received !== replayed) {
  let at = 0
  while (received[at] === replayed[at]) at++
  const part = (text) => JSON.stringify(text.slice(Math.max(0, at - 80), at + 80))
  throw new Error(`they differ at byte ${at}:\nproduction ${part(received)}\nstaging    ${part(replayed)}`)
}
if (!/^Nothing was lost\./m.test(read('mirrorshard.log'))) throw new Error('the summary does not say "Nothing was lost."')
console.log(`${requests} requests, ${received.length} bytes, equal at production and staging; nothing was lost`)
END
for name in $names; do
  [ -e "/run/netns/$name" ] && { echo "the page leaves namespace $name behind"; exit 1; }
done
exit 0
