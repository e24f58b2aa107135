#!/usr/bin/env bash
# Every command given wrong input: prints what it said and its exit code, and fails when a code is not the documented one, when
# nothing was said, or when a stack trace shows.
set -u
program=${PROGRAM:-node dist/src/main.js}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0 passed=0

expect() { # CODE NAME ARGS…
  local code=$1 name=$2 out got
  shift 2
  out=$(timeout 60 $program "$@" </dev/null 2>&1 >"$folder/stdout")
  got=$?
  local verdict=ok
  [ "$got" -eq "$code" ] || verdict="FAIL (expected exit code $code)"
  printf '%s\n' "$out" | grep -qE '^\s+at .*(:[0-9]+:[0-9]+|node:)' && verdict='FAIL (a stack trace)'
  [ -n "$out" ] || verdict='FAIL (said nothing)'
  if [ "$verdict" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  printf '%-34s exit %-3s %s\n' "$name" "$got" "$verdict"
  printf '%s\n' "$out" | sed "s#$folder#TMP#g" | head -6 | sed 's/^/    /'
}

# A capture of one request without its response, made by hand: Ethernet, IPv4, TCP.
node -e '
  const { writeFileSync } = require("node:fs")
  const header = Buffer.alloc(24); header.writeUInt32LE(0xa1b2c3d4, 0); header.writeUInt16LE(2, 4); header.writeUInt16LE(4, 6)
  header.writeUInt32LE(262144, 16); header.writeUInt32LE(1, 20)
  const body = Buffer.from("GET /one HTTP/1.1\r\nHost: a\r\n\r\n")
  const frame = Buffer.alloc(54 + body.length); frame.writeUInt16BE(0x0800, 12); frame[14] = 0x45
  frame.writeUInt16BE(40 + body.length, 16); frame[22] = 64; frame[23] = 6
  Buffer.from([10, 0, 0, 1, 10, 0, 0, 2]).copy(frame, 26); frame.writeUInt16BE(40000, 34); frame.writeUInt16BE(80, 36)
  frame.writeUInt32BE(1, 38); frame[46] = 0x50; frame[47] = 0x18; body.copy(frame, 54)
  const record = Buffer.alloc(16); record.writeUInt32LE(1700000000, 0); record.writeUInt32LE(frame.length, 8); record.writeUInt32LE(frame.length, 12)
  const [good, dir] = [Buffer.concat([header, record, frame]), process.argv[1]]
  writeFileSync(dir + "/good.pcap", good)
  writeFileSync(dir + "/cut.pcap", Buffer.concat([good, record, frame.subarray(0, 20)]))
  const odd = Buffer.from(good); odd.writeUInt32LE(147, 20); writeFileSync(dir + "/link147.pcap", odd)
' "$folder"
: > "$folder/empty.pcap"
echo 'this is a shopping list' > "$folder/list.txt"
printf 'workers: 2\nrate: [1, 2\nto: x\n' > "$folder/broken.yaml"
printf 'workers: many\nworker: 2\noverlap: frist\n' > "$folder/wrong.yaml"
port=$((20000 + RANDOM % 20000))

for command in inspect 'replay --to null --speed max'; do
  set -- $command
  expect 1 "$1: missing file" "$@" "$folder/none.pcap"
  expect 1 "$1: empty file" "$@" "$folder/empty.pcap"
  expect 1 "$1: directory" "$@" "$folder"
  expect 1 "$1: text file" "$@" "$folder/list.txt"
  expect 0 "$1: file cut in mid-record" "$@" "$folder/cut.pcap"
  expect 0 "$1: unknown link type" "$@" "$folder/link147.pcap"
  expect 1 "$1: one bad file of two" "$@" "$folder/list.txt" "$folder/good.pcap"
  expect 1 "$1: two bad files" "$@" "$folder/list.txt" "$folder/none.pcap"
  expect 1 "$1: empty standard input" "$@" -
  expect 2 "$1: no file" "$@"
  expect 2 "$1: unknown option" "$@" --worker 2 "$folder/good.pcap"
  expect 2 "$1: wrong value" "$@" --workers many "$folder/good.pcap"
  expect 1 "$1: summary not writable" "$@" --summary "$folder/none/summary.json" "$folder/good.pcap"
done
expect 2 'no command'
expect 2 'unknown command' inspcet "$folder/good.pcap"
expect 2 'inspect: wrong format' inspect --format tabel "$folder/good.pcap"
expect 2 'replay: no target' replay "$folder/good.pcap"
expect 2 'replay: bad URL' replay --to staging:8080 "$folder/good.pcap"
expect 2 'replay: URL with a path' replay --to http://127.0.0.1:1/api "$folder/good.pcap"
expect 2 'replay: looped standard input' replay --to null --loop 2 -
expect 1 'replay: origin down' replay --to "http://127.0.0.1:$port" --speed max "$folder/good.pcap"
expect 1 'replay: no such host' replay --to http://no-such-host.invalid --speed max "$folder/good.pcap"
expect 2 'run: no target' run
expect 2 'run: bad listen address' run --listen nowhere --to null
expect 2 'run: two receivers, no workers' run --receivers 2 --workers 0 --to null
expect 2 'run: two receivers with dgram' run --receivers 2 --receiver dgram --to null
expect 1 'run: address of another machine' run --listen 192.0.2.1:4789 --to null --admin 127.0.0.1:0
expect 2 'run: admin elsewhere' run --to null --admin 0.0.0.0:9464
expect 1 'run: no such interface' run --interface nosuch0 --to null --admin 127.0.0.1:0
expect 2 'capture: nothing named' capture
expect 1 'capture: no such interface' capture --interface nosuch0 --out "$folder/x.pcap"
expect 78 'validate: broken YAML' validate --config "$folder/broken.yaml"
expect 78 'validate: wrong values' validate --config "$folder/wrong.yaml"
expect 78 'validate: missing file' validate --config "$folder/none.yaml"
expect 78 'run: broken YAML' run --config "$folder/broken.yaml" --to null
expect 2 'config: no subcommand' config
expect 2 'demo: wrong value' demo --requests none

node -e '
  const net = require("node:net")
  const server = net.createServer().listen(+process.argv[1], "127.0.0.1", () => console.log("ready"))
  setTimeout(() => server.close(), 20000).unref()
' "$port" > "$folder/holder" &
holder=$!
until grep -q ready "$folder/holder"; do sleep 0.05; done
expect 1 'run: port in use (TCP check)' run --listen "127.0.0.1:$port" --to null --admin 127.0.0.1:0
expect 1 'run: admin port in use' run --listen 127.0.0.1:0 --to null --admin "127.0.0.1:$port"
expect 1 'run: health port in use' run --listen 127.0.0.1:0 --to null --admin 127.0.0.1:0 --health "127.0.0.1:$port"
kill $holder 2>/dev/null
wait $holder 2>/dev/null

printf 'wrong input: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
