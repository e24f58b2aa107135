#!/usr/bin/env bash
# `capture` on loopback with package cap really built: curl asks an nginx, `inspect` prints the exchange. Needs root.
set -u
folder=$(mktemp -d)
port=$((20000 + RANDOM % 20000))
chmod 755 "$folder"
mkdir -p "$folder/logs"
printf 'captured by mirrorshard\n' > "$folder/hello.txt"
cat > "$folder/nginx.conf" <<CONF
daemon off; pid $folder/nginx.pid; error_log $folder/error.log; worker_processes 1;
events { worker_connections 64; }
http { access_log off; server { listen 127.0.0.1:$port; root $folder; } }
CONF
nginx -p "$folder" -c "$folder/nginx.conf" &
nginx_pid=$!
node dist/src/main.js capture --interface lo --filter "tcp port $port" --out "$folder/loopback.pcap" --limit 1000 &
capture_pid=$!
trap 'kill $nginx_pid $capture_pid 2>/dev/null; rm -rf "$folder"' EXIT
for _ in $(seq 100); do [ -s "$folder/loopback.pcap" ] || [ -e "$folder/loopback.pcap" ] && break; sleep 0.1; done
sleep 0.5
curl -fsS "http://127.0.0.1:$port/hello.txt?from=curl" || exit 1
sleep 0.5
kill -INT $capture_pid
wait $capture_pid || { echo "capture ended with $?"; exit 1; }
node dist/src/main.js inspect --format table "$folder/loopback.pcap"
node dist/src/main.js inspect "$folder/loopback.pcap" > "$folder/seen.jsonl"
grep -q '"method":"GET","uri":"/hello.txt?from=curl"' "$folder/seen.jsonl" && grep -q '"status":200' "$folder/seen.jsonl" && grep -q '"bodyBytes":24' "$folder/seen.jsonl"
