# The story that a command-line client tells the server: one user on several
# devices, a lost phone, a thief, an operator. Sourced by a client that defines
#
#   rpc METHOD JSON [TOKEN]
#
# which prints the reply, or the error, as JSON with its default values and
# returns the gRPC status code. The server is at ROLLCALL_ADDRESS.
set -euo pipefail
: "${ROLLCALL_ADDRESS:?names the server, as in 127.0.0.1:50051}"
: "${OPERATOR_PASSWORD:?is the password of the user operator}"

UNAUTHENTICATED=16 PERMISSION_DENIED=7 INVALID_ARGUMENT=3

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}

ok() {
  printf '  ok  %s\n' "$*"
}

# Prints the value at a path of a JSON document: get "$reply" sessions.0.userId
get() {
  python3 -c '
import json, sys
value = json.loads(sys.argv[1])
for key in sys.argv[2].split("."):
    value = value[int(key)] if isinstance(value, list) else value[key]
print(value)' "$1" "$2"
}

# Prints the ids of the sessions of a list, in its order, on one line.
session_ids() {
  python3 -c '
import json, sys
print(*(session["sessionId"] for session in json.loads(sys.argv[1])["sessions"]))' "$1"
}

# expect WHAT ACTUAL EXPECTED
expect() {
  [[ $2 == "$3" ]] || fail "$1 is '$2', not '$3'"
}

random() {
  head -c 24 /dev/urandom | base64 | tr '+/' '-_'
}

# Calls and prints the reply; an error ends the story.
call() {
  local reply
  reply=$(rpc "$@") || fail "$1 answered: $reply"
  printf '%s\n' "$reply"
}

# refused CODE "WORD..." METHOD JSON [TOKEN]: the call answers with this code, and
# its error contains each of the words as a JSON string.
refused() {
  local code=$1 words=$2 status=0 error word
  shift 2
  error=$(rpc "$@") || status=$?
  expect "the status of $1" "$status" "$code"
  for word in $words; do
    [[ $error == *"\"$word\""* ]] || fail "$1 answered without $word: $error"
  done
}

sign_in() {
  call rollcall.v1.Auth/Authenticate "{\"login\": \"$1\", \"password\": \"$2\",
    \"device\": {\"deviceId\": \"$3\", \"displayName\": \"Ana's $3\", \"clientId\": \"tests\"}}"
}

# refresh_request REPLY REQUEST_ID: the request that uses the token of a reply.
refresh_request() {
  printf '{"refreshToken": "%s", "requestId": "%s"}' "$(get "$1" tokens.refreshToken)" "$2"
}

refresh() {
  call rollcall.v1.Auth/Refresh "$(refresh_request "$1" "$(random)")"
}

refresh_refused() {
  refused "$UNAUTHENTICATED" "$2" rollcall.v1.Auth/Refresh "$(refresh_request "$1" "$(random)")"
}

access_token() {
  get "$1" tokens.accessToken
}

session_id() {
  get "$1" session.sessionId
}

session_request() {
  printf '{"sessionId": "%s"}' "$(session_id "$1")"
}

# expect_live ID...: the operator sees exactly these live sessions, in this order.
expect_live() {
  local listed ids
  listed=$(call rollcall.v1.SessionAdmin/ListSessions "{\"filter\": {\"login\": \"$login\"}}" \
    "$(access_token "$operator")")
  ids=$(session_ids "$listed")
  expect "the operator's list" "$ids" "$*"
}

health_is_serving() {
  local service reply
  for service in "" rollcall.v1.Auth rollcall.v1.SessionAdmin rollcall.v1.UserAdmin; do
    reply=$(call grpc.health.v1.Health/Check "{\"service\": \"$service\"}")
    expect "the health of '$service'" "$(get "$reply" status)" SERVING
  done
  ok "health is SERVING for the server and each service"
}

two_devices_sign_in() {
  login="$1-$(random | cut -c1-8)"
  password=$(random)
  call rollcall.v1.Auth/Register "{\"login\": \"$login\", \"password\": \"$password\"}" >/dev/null
  refused "$UNAUTHENTICATED" INVALID_CREDENTIALS rollcall.v1.Auth/Authenticate \
    "{\"login\": \"$login\", \"password\": \"$password!\", \"device\": {\"clientId\": \"tests\"}}"
  laptop=$(sign_in "$login" "$password" laptop)
  phone=$(sign_in "$login" "$password" phone)
  operator=$(sign_in operator "$OPERATOR_PASSWORD" console)
  expect "the generation" "$(get "$laptop" session.generation)" 0
  ok "a new user signs in on a laptop and a phone"
}

both_refresh_twice() {
  local request again
  laptop=$(refresh "$laptop")
  phone=$(refresh "$phone")
  request=$(refresh_request "$laptop" "$(random)")
  laptop=$(call rollcall.v1.Auth/Refresh "$request")
  phone=$(refresh "$phone")
  expect "the laptop's generation" "$(get "$laptop" session.generation)" 2
  expect "the phone's generation" "$(get "$phone" session.generation)" 2

  again=$(call rollcall.v1.Auth/Refresh "$request")
  expect "the successor" "$(get "$again" tokens.refreshToken)" "$(get "$laptop" tokens.refreshToken)"
  expect "the generation of the repeat" "$(get "$again" session.generation)" 2
  ok "both refresh twice; a repeated refresh has the same successor"
}

lists_show_both() {
  local mine
  mine=$(call rollcall.v1.Auth/ListMySessions '{}' "$(access_token "$laptop")")
  expect "the user's list" "$(session_ids "$mine")" "$(session_id "$phone") $(session_id "$laptop")"
  expect "the session that calls" "$(get "$mine" currentSessionId)" "$(session_id "$laptop")"
  expect_live "$(session_id "$phone")" "$(session_id "$laptop")"
  refused "$PERMISSION_DENIED" ADMIN_REQUIRED rollcall.v1.SessionAdmin/ListSessions '{}' "$(access_token "$laptop")"
  refused "$UNAUTHENTICATED" ACCESS_TOKEN_INVALID rollcall.v1.Auth/ListMySessions '{}'
  ok "the user and the operator list both, newest first; others may not"
}

phone_is_revoked() {
  local ended
  ended=$(call rollcall.v1.Auth/RevokeMySession "$(session_request "$phone")" "$(access_token "$laptop")")
  expect "the state" "$(get "$ended" session.state)" SESSION_STATE_REVOKED
  expect "the reason" "$(get "$ended" session.endReason)" SESSION_END_REASON_REVOKED_BY_USER
  refresh_refused "$phone" "SESSION_ENDED REVOKED_BY_USER rollcall"
  refused "$UNAUTHENTICATED" SESSION_ENDED rollcall.v1.Auth/ListMySessions '{}' "$(access_token "$phone")"
  laptop=$(refresh "$laptop")
  ok "the phone is revoked; the laptop goes on"
}

reuse_ends_one_session() {
  local old tablet ended
  old=$(sign_in "$login" "$password" tablet)
  tablet=$(refresh "$old")
  refresh_refused "$old" REFRESH_TOKEN_REUSED
  refresh_refused "$tablet" "SESSION_ENDED TOKEN_REUSED"
  ended=$(call rollcall.v1.SessionAdmin/GetSession "$(session_request "$old")" "$(access_token "$operator")")
  expect "the reason" "$(get "$ended" session.endReason)" SESSION_END_REASON_TOKEN_REUSED
  laptop=$(refresh "$laptop")
  expect_live "$(session_id "$laptop")"
  ok "a stolen token ends the tablet's session, and only that one"
}

operator_revokes_the_rest() {
  call rollcall.v1.SessionAdmin/RevokeSession "$(session_request "$laptop")" "$(access_token "$operator")" >/dev/null
  refresh_refused "$laptop" "SESSION_ENDED REVOKED_BY_ADMIN"
  expect_live
  call rollcall.v1.Auth/Logout "{\"refreshToken\": \"$(get "$laptop" tokens.refreshToken)\"}" >/dev/null
  call rollcall.v1.Auth/Logout '{"refreshToken": "not a token"}' >/dev/null
  ok "the operator revokes the laptop; logging it out, or nothing at all, is fine"
}

bad_input_is_named() {
  refused "$INVALID_ARGUMENT" "INVALID_ARGUMENT login device.client_id device.ip_address" \
    rollcall.v1.Auth/Authenticate '{"password": "x", "device": {"ipAddress": "nowhere"}}'
  ok "bad input is refused with every field named"
}

# Tells the whole story as a user whose login begins with the given word.
story() {
  health_is_serving
  two_devices_sign_in "$1"
  both_refresh_twice
  lists_show_both
  phone_is_revoked
  reuse_ends_one_session
  operator_revokes_the_rest
  bad_input_is_named
}
