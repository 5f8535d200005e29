#!/usr/bin/env bash
# grpcurl with nothing but the address: the schema comes by reflection.
source "$(dirname "$0")/story.sh"

rpc() {
  local status=0
  grpcurl -plaintext -emit-defaults -format-error -max-time 30 \
    ${3:+-H "authorization: Bearer $3"} -d "$2" "$ROLLCALL_ADDRESS" "$1" 2>&1 || status=$?
  # It adds 64 to the code of the RPC.
  return $((status > 64 ? status - 64 : status))
}

described=$(grpcurl -plaintext "$ROLLCALL_ADDRESS" describe rollcall.v1.Auth)
[[ $described == *"rpc Refresh ( .rollcall.v1.RefreshRequest )"* ]] || fail "reflection describes Auth as: $described"
ok "reflection describes a service"

story grpcurl
