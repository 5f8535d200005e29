#!/usr/bin/env bash
# `buf curl` with the schema from proto/; reflection only for what is not there,
# as health is not.
cd "$(dirname "$0")/../.."
source tests/clients/story.sh

# The details of errors come as encoded messages; this shows them as JSON, and
# passes on everything else as it is.
decode_details() {
  python3 -c '
import base64, json, sys
from google.protobuf.json_format import MessageToDict
from google.rpc import error_details_pb2
text = sys.stdin.read()
try:
    error = json.loads(text)
    for detail in error.get("details", []):
        kind = getattr(error_details_pb2, detail["type"].removeprefix("google.rpc."))
        detail["value"] = MessageToDict(kind.FromString(base64.b64decode(detail["value"] + "==")))
    text = json.dumps(error)
except json.JSONDecodeError:
    pass
print(text)'
}

rpc() {
  local reply status=0 schema=(--schema proto)
  if [[ $1 == grpc.* ]]; then schema=(--reflect); fi
  reply=$(buf curl --protocol grpc --http2-prior-knowledge --emit-defaults --timeout 30s "${schema[@]}" \
    ${3:+-H "authorization: Bearer $3"} -d "$2" "http://$ROLLCALL_ADDRESS/$1" 2>&1) || status=$?
  if [[ $status == 0 ]]; then
    printf '%s\n' "$reply"
  else
    decode_details <<<"$reply"
  fi
  # It multiplies the code of the RPC by 8.
  return $((status >= 8 ? status / 8 : status))
}

for version in grpc-v1 grpc-v1alpha; do
  services=$(buf curl --protocol grpc --reflect-protocol "$version" --http2-prior-knowledge --list-services "http://$ROLLCALL_ADDRESS")
  for service in grpc.health.v1.Health rollcall.v1.Auth rollcall.v1.SessionAdmin rollcall.v1.UserAdmin; do
    [[ $services == *"$service"* ]] || fail "reflection $version lists, without $service: $services"
  done
  ok "reflection $version lists every service"
done

story buf-curl
