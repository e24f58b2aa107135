#!/usr/bin/env bash
# deploy/prometheus by promtool: the rules are valid and do what their tests say, and the scrape configuration is one. Needs promtool (package prometheus).
set -eu
cd "$(dirname "$0")/../../deploy/prometheus"
promtool check rules mirrorshard.rules.yml
promtool test rules tests/*.test.yml
# promtool looks for the files that a configuration names: a token of ours stands for the one on the server.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
echo 'not-a-token-anybody-uses' > "$folder/token"
cp mirrorshard.rules.yml "$folder"
sed "s|credentials_file: .*|credentials_file: $folder/token|" scrape.yml > "$folder/scrape.yml"
promtool check config "$folder/scrape.yml"
