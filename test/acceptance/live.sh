#!/usr/bin/env bash
# Live checks, end to end: generated traffic as VXLAN over UDP -> `run` -> a recording origin -> score.
#   live.sh TOOLS_DIR quick|full
set -u
tools=$1
scope=${2:-quick}
program='node dist/src/main.js'
failed=0 passed=0

check() { # NAME ARGS…
  local name=$1 out
  shift
  if out=$(python3 "$tools/e2e.py" --cmd "$program" "$@" 2>&1); then
    passed=$((passed + 1))
    printf 'ok    %s: %s\n' "$name" "$(printf '%s\n' "$out" | grep -E '^sent ' | sed 's/; files in.*//')"
  else
    failed=$((failed + 1))
    printf 'FAIL  %s\n%s\n' "$name" "$(printf '%s\n' "$out" | head -c 3000)"
  fi
}

case $scope in
quick) presets='adversarial hell' workers='0 2' ;;
*) presets='clean mixed adversarial lossy hell' workers='0 1 2 4' ;;
esac
for preset in $presets; do
  for n in $workers; do
    for receiver in recvmmsg dgram; do
      check "$preset, $n workers, $receiver" --preset "$preset" --seed 7 --workers "$n" --pps 20000 --run-args "--receiver $receiver"
    done
  done
done
# Several receiving threads: fragments come through another one than their connection.
case $scope in
quick) presets='adversarial' counts='2' workers='2' ;;
*) presets='clean mixed adversarial lossy hell' counts='2 3' workers='1 2 4' ;;
esac
for preset in $presets; do
  for n in $workers; do
    for receivers in $counts; do
      check "$preset, $n workers, $receivers receivers" --preset "$preset" --seed 7 --workers "$n" --pps 20000 --run-args "--receivers $receivers"
    done
  done
done
check 'clean, 2,000 connections' --conns 2000 --reqs 20 --preset clean --workers 2
check 'a shard broken every 2 s' --preset adversarial --conns 300 --pps 2000 --workers 2 --kill-shard-every 2 --allow-missing
printf 'live: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
