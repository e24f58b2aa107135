#!/usr/bin/env bash
# docs/setup/linux-tc.md as it stands: runs the page's blocks in their order, in network namespaces of its own, and compares what production
# received with what staging received, byte for byte. Needs root, ip, tc, curl, and a kernel with the parts that the page names. What is missing is said,
# and skipped. The block that installs (`sh build`) is left out: this script runs in a built checkout.
set -u
page=docs/setup/linux-tc.md
names='client shop mirror'

skip() { echo "skipped: $1"; exit 0; }
for program in ip tc curl sysctl unshare node; do command -v $program > /dev/null || skip "no $program"; done
[ "$(id -u)" -eq 0 ] || skip 'not root'
[ -e dist/src/main.js ] || { echo 'run npm run build first'; exit 1; }

# The page's names are short ones that this machine may have already: in a mount namespace of our own they are ours alone, and go with it.
if [ "${1:-}" != within ]; then
  why=$(unshare --mount --propagation private true 2>&1) || skip "no mount namespace may be made here: $why"
  exec unshare --mount --propagation private bash "$0" within
fi
mkdir -p /run/netns && mount -t tmpfs mirrorshard /run/netns || skip 'nothing may be mounted here'

# What the page's commands need of the kernel and of this sandbox, tried on a namespace that goes away again.
try=try
possible() {
  ip netns add $try && ip netns exec $try true &&
    ip -n $try link add veth0 type veth peer name veth1 && ip -n $try link set veth0 up &&
    ip -n $try link add vxlan0 type vxlan id 1 local 127.0.0.1 remote 127.0.0.1 dstport 4789 &&
    tc -n $try qdisc add dev veth0 clsact &&
    tc -n $try filter add dev veth0 ingress protocol ip u32 match u32 0 0 action mirred egress mirror dev vxlan0 &&
    tc -n $try filter add dev veth0 egress protocol all bpf bytecode '1,6 0 0 0' action mirred egress mirror dev vxlan0
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
/** Requests as [target, bytes], in order. A body has a Content-Length or there is none: curl sends nothing else. */
const requestsOf = (text) => {
  const requests = []
  for (let at = 0; at < text.length; ) {
    const headEnd = text.indexOf('\r\n\r\n', at) + 4
    const head = text.slice(at, headEnd)
    const end = headEnd + Number(/^Content-Length: (\d+)\r$/m.exec(head)?.[1] ?? 0)
    // docs/replay.md, "What changes, and nothing else": these lines go and come, all else must be equal.
    const kept = head.replace(/^(?:Expect|X-Forwarded-[A-Za-z]+|X-Mirrorshard): .*\r\n/gm, '')
    requests.push([head.split(' ')[1], kept + text.slice(headEnd, end)])
    at = end
  }
  return requests
}
const received = requestsOf(after(read('shop.log'), '/first'))
const replayed = requestsOf(after(read('staging.log'), '/is-staging-up'))
if (received.length !== 12) throw new Error(`production received ${received.length} requests, not the page's 12`)
// Connections take turns, so the order is compared within each: the page's targets say which belong together.
const connectionOf = ([target]) => target.split(/[?/]/)[1]
for (const connection of new Set([...received, ...replayed].map(connectionOf))) {
  const [want, got] = [received, replayed].map((all) => JSON.stringify(all.filter((one) => connectionOf(one) === connection)))
  if (want !== got) throw new Error(`connection ${connection} differs:\nproduction ${want.slice(0, 2000)}\nstaging    ${got.slice(0, 2000)}`)
}
if (!/^Nothing was lost\./m.test(read('mirrorshard.log'))) throw new Error('the summary does not say "Nothing was lost."')
const bytes = received.reduce((sum, [, request]) => sum + request.length, 0)
console.log(`${received.length} requests, ${bytes} bytes, equal at production and staging; nothing was lost`)
END
for name in $names; do
  [ -e "/run/netns/$name" ] && { echo "the page leaves namespace $name behind"; exit 1; }
done
exit 0
