#!/usr/bin/env bash
# Runs the program of an image as a container would: as the image's user, on a root that
# nobody can write to, with the image's variables alone, and without a shell. There is no
# database, so it listens, says that it does not serve, and ends at SIGTERM.
#
#     ROLLCALL_IMAGE_ROOT=FOLDER tests/deploy/image.sh USER:GROUP     as root
set -euo pipefail
user=$1
chroot=$(command -v chroot)

if [[ ${2:-} != inside ]]; then
  # Mounts that end with the process.
  exec unshare --mount --propagation private "$0" "$user" inside
fi
mount --bind "$ROLLCALL_IMAGE_ROOT" "$ROLLCALL_IMAGE_ROOT"
mount -o remount,ro,bind "$ROLLCALL_IMAGE_ROOT"

# Becomes the program: in the background, the process that is known is the program's own.
become() {
  exec env -i "${variables[@]}" "$chroot" --userspec="$user" --groups= "$ROLLCALL_IMAGE_ROOT" /usr/local/bin/rollcall "$@"
}

rollcall() {
  (become "$@")
}

fail() {
  echo "$*" >&2
  exit 1
}

[[ $user =~ ^[1-9][0-9]*:[1-9][0-9]*$ ]] || fail "the image's user is no number, or root: $user"
[[ ! -e $ROLLCALL_IMAGE_ROOT/bin/sh ]] || fail "there is a shell in the image"
variables=(A=)
key=$(rollcall keys generate)
[[ $key == rcm_* ]] || fail "no key: $key"
rollcall --version

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
log=$(mktemp)
variables=(ROLLCALL_LISTEN=127.0.0.1:"$port" ROLLCALL_OPERATIONS_LISTEN=127.0.0.1:0
  ROLLCALL_ISSUER=https://id.test ROLLCALL_MASTER_KEY="$key" ROLLCALL_DRAIN_PAUSE=0s
  DATABASE_URL=postgresql://nobody@127.0.0.1:1/none)
become serve 2>"$log" &
server=$!
for ((tries = 0; tries < 300; tries++)); do
  grep -q '"listening"' "$log" && break
  kill -0 "$server" 2>/dev/null || fail "it ended: $(<"$log")"
  sleep 0.1
done
variables=(A=)
if rollcall health --server "http://127.0.0.1:$port"; then
  fail "health is good without a database"
elif [[ $? == 2 ]]; then
  fail "health is not a command, or its arguments are wrong"
fi
id=$(ps -o uid= -p "$server" | tr -d ' ')
[[ $id == "${user%%:*}" ]] || fail "it runs as $id"
kill -TERM "$server"
wait "$server" || fail "SIGTERM does not end it with status 0: $(<"$log")"
