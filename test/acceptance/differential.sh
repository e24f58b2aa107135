#!/usr/bin/env bash
# Capture files, real and generated, replayed to other readers of HTTP: test/differential/captures.ts over a choice of them. Run in the project's folder, after a build.
#
#   bash test/acceptance/differential.sh SHARED_DIR
set -eu
shared=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for preset in adversarial hell; do
  python3 "$shared/tools/gen.py" --out "$folder/$preset.pcap" --preset "$preset" --seed 300 --conns 30 --reqs 8 >/dev/null
done
real=()
for name in suriv-http-multiple-cl suriv-http-evader-298 suriv-http-evader-441 zeek-variant-01-chunk_2pow64_overflow zeek-variant-03-cl_negative \
  zeek-variant-04-te_cl_desync zeek-variant-07-expect_100_cl0 zeek-variant-09-te_obs_fold zeek-smuggle-http-request zeek-methods; do
  file=$shared/corpus/http/$name.pcap
  [ -e "$file" ] && real+=("$file")
done
echo "${#real[@]} real captures, 2 generated"
npm run --silent test:differential:captures -- "$folder"/*.pcap ${real[@]+"${real[@]}"}
