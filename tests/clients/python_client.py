#!/usr/bin/env python3
"""A grpcio client with stubs made from proto/: the story of several devices.

Beyond what the command-line clients show, it reads the details of errors from
the trailers, refreshes from many threads at once, and sends a deadline that only
the server can keep.
"""

import os
import secrets
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

PROTO = Path(__file__).resolve().parents[2] / "proto"
THREADS = 16


def generate_stubs(folder):
    """Makes the stubs of proto/ in a folder and puts it on the module path."""
    well_known = resources.files("grpc_tools") / "_proto"
    protos = [str(path.relative_to(PROTO)) for path in sorted(PROTO.rglob("*.proto"))]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"-I{well_known}",
         f"--python_out={folder}", f"--grpc_python_out={folder}", *protos],
        check=True,
    )
    sys.path.insert(0, folder)


with tempfile.TemporaryDirectory() as stubs:
    generate_stubs(stubs)
    from rollcall.v1 import auth_pb2, auth_pb2_grpc, session_admin_pb2, session_admin_pb2_grpc
    from rollcall.v1 import session_pb2, user_admin_pb2, user_admin_pb2_grpc

CHANNEL = grpc.insecure_channel(os.environ["ROLLCALL_ADDRESS"])
AUTH = auth_pb2_grpc.AuthStub(CHANNEL)
SESSIONS = session_admin_pb2_grpc.SessionAdminStub(CHANNEL)
USERS = user_admin_pb2_grpc.UserAdminStub(CHANNEL)
HEALTH = health_pb2_grpc.HealthStub(CHANNEL)


class Failed(Exception):
    """The server did something else than the story says."""


def check(what, actual, expected):
    """Compares, and names what differs."""
    if actual != expected:
        raise Failed(f"{what} is {actual!r}, not {expected!r}")


def detail(error, kind):
    """The one detail of a kind that an error carries in `grpc-status-details-bin`."""
    status = rpc_status.from_call(error)
    if status is None:
        raise Failed(f"an error without details: {error}")
    found = kind()
    if not any(any_.Unpack(found) for any_ in status.details):
        raise Failed(f"an error without {kind.DESCRIPTOR.name}: {status}")
    return found


@contextmanager
def refused(code, reason, **metadata):
    """Expects the call inside to fail with a code, a reason and metadata, and
    yields a list that then holds the error."""
    caught = []
    try:
        yield caught
    except grpc.RpcError as error:
        caught.append(error)
    if not caught:
        raise Failed(f"a call succeeded that should be refused with {reason}")
    check("the code", caught[0].code(), code)
    info = detail(caught[0], error_details_pb2.ErrorInfo)
    check("the domain and reason", (info.domain, info.reason), ("rollcall", reason))
    for key, value in metadata.items():
        check(f"the metadata {key}", info.metadata[key], value)
    request = detail(caught[0], error_details_pb2.RequestInfo)
    check("whether there is a request_id", bool(request.request_id), True)


def bearer(reply):
    """The metadata that calls with the access token of a reply."""
    return [("authorization", f"Bearer {reply.tokens.access_token}")]


def sign_in(login, password, device):
    """Signs in on a device."""
    return AUTH.Authenticate(auth_pb2.AuthenticateRequest(
        login=login, password=password,
        device=session_pb2.Device(device_id=device, client_id="tests", display_name=f"Ana's {device}"),
    ))


def refresh_request(reply):
    """A new use of the refresh token of a reply."""
    return auth_pb2.RefreshRequest(
        refresh_token=reply.tokens.refresh_token, request_id=secrets.token_urlsafe(16))


def health_is_serving():
    """Each service is SERVING by name, and so is the server."""
    for name in ("", "rollcall.v1.Auth", "rollcall.v1.SessionAdmin", "rollcall.v1.UserAdmin"):
        reply = HEALTH.Check(health_pb2.HealthCheckRequest(service=name))
        check(f"the health of {name!r}", reply.status, health_pb2.HealthCheckResponse.SERVING)


def both_refresh_twice(laptop, phone):
    """Two devices refresh in turn, and neither disturbs the other."""
    for generation in (1, 2):
        laptop = AUTH.Refresh(refresh_request(laptop))
        phone = AUTH.Refresh(refresh_request(phone))
        check("the generations", (laptop.session.generation, phone.session.generation), (generation, generation))
    return laptop, phone


def threads_get_one_successor(laptop):
    """One refresh, sent by many threads at once, has one successor."""
    request = refresh_request(laptop)
    with ThreadPoolExecutor(THREADS) as pool:
        replies = list(pool.map(AUTH.Refresh, [request] * THREADS))
    check("the number of successors", len({reply.tokens.refresh_token for reply in replies}), 1)
    check("the generation", {reply.session.generation for reply in replies}, {laptop.session.generation + 1})

    # A client that names no request gets the same within the short leeway.
    unnamed = auth_pb2.RefreshRequest(refresh_token=replies[0].tokens.refresh_token)
    first, second = AUTH.Refresh(unnamed), AUTH.Refresh(unnamed)
    check("the unnamed successor", second.tokens.refresh_token, first.tokens.refresh_token)
    return second


def lists_show_both(laptop, phone, operator):
    """The user and the operator see both devices, newest first."""
    both = [phone.session.session_id, laptop.session.session_id]
    mine = AUTH.ListMySessions(auth_pb2.ListMySessionsRequest(), metadata=bearer(laptop))
    check("the user's list", [session.session_id for session in mine.sessions], both)
    check("the session that calls", mine.current_session_id, laptop.session.session_id)
    check("the states", {session.state for session in mine.sessions}, {session_pb2.SESSION_STATE_LIVE})

    by_user = session_admin_pb2.ListSessionsRequest(
        filter=session_admin_pb2.SessionFilter(user_id=laptop.user_id), page_size=1)
    listed = []
    while True:
        page = SESSIONS.ListSessions(by_user, metadata=bearer(operator))
        listed += [session.session_id for session in page.sessions]
        by_user.page_token = page.next_page_token
        if not page.next_page_token:
            break
    check("the operator's list, page by page", listed, both)
    with refused(grpc.StatusCode.PERMISSION_DENIED, "ADMIN_REQUIRED"):
        SESSIONS.ListSessions(by_user, metadata=bearer(laptop))


def phone_is_revoked(laptop, phone):
    """The laptop ends the phone's session, and goes on."""
    lost = auth_pb2.RevokeMySessionRequest(session_id=phone.session.session_id)
    ended = AUTH.RevokeMySession(lost, metadata=bearer(laptop)).session
    check("the reason", ended.end_reason, session_pb2.SESSION_END_REASON_REVOKED_BY_USER)
    check("whether the end has a time", ended.HasField("end_time"), True)
    unauthenticated = grpc.StatusCode.UNAUTHENTICATED
    with refused(unauthenticated, "SESSION_ENDED", end_reason="REVOKED_BY_USER"):
        AUTH.Refresh(refresh_request(phone))
    with refused(unauthenticated, "SESSION_ENDED", end_reason="REVOKED_BY_USER"):
        AUTH.ListMySessions(auth_pb2.ListMySessionsRequest(), metadata=bearer(phone))
    return AUTH.Refresh(refresh_request(laptop))


def reuse_ends_one_session(laptop, login, password):
    """A refresh token that two parties use ends its own session only."""
    stolen = sign_in(login, password, "tablet")
    tablet = AUTH.Refresh(refresh_request(stolen))
    with refused(grpc.StatusCode.UNAUTHENTICATED, "REFRESH_TOKEN_REUSED"):
        AUTH.Refresh(refresh_request(stolen))
    with refused(grpc.StatusCode.UNAUTHENTICATED, "SESSION_ENDED", end_reason="TOKEN_REUSED"):
        AUTH.Refresh(refresh_request(tablet))
    return AUTH.Refresh(refresh_request(laptop))


def errors_say_what_to_correct():
    """Bad input is refused with every field named at once."""
    request = auth_pb2.AuthenticateRequest(
        password="x", device=session_pb2.Device(ip_address="nowhere"))
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT") as caught:
        AUTH.Authenticate(request)
    violations = detail(caught[0], error_details_pb2.BadRequest).field_violations
    check("the fields", {violation.field for violation in violations},
          {"login", "device.client_id", "device.ip_address"})


def deadline_is_kept_by_the_server(login):
    """A millisecond is not enough to check a password. The header is sent as it
    is, so that this client has no deadline and the answer is the server's."""
    request = auth_pb2.AuthenticateRequest(
        login=login, password="wrong", device=session_pb2.Device(client_id="tests"))
    with refused(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"):
        AUTH.Authenticate(request, metadata=[("grpc-timeout", "1m")])


def operator_disables(laptop, operator):
    """Disabling a user ends the sessions that are left."""
    change = user_admin_pb2.UpdateUserRequest()
    change.user.user_id = laptop.user_id
    change.user.disabled = True
    change.update_mask.paths.append("disabled")
    check("the ended sessions", USERS.UpdateUser(change, metadata=bearer(operator)).revoked_session_count, 1)
    with refused(grpc.StatusCode.UNAUTHENTICATED, "SESSION_ENDED", end_reason="USER_DISABLED"):
        AUTH.Refresh(refresh_request(laptop))


def told(function, *arguments):
    """Tells one part of the story, and says so."""
    result = function(*arguments)
    print("  ok ", " ".join(function.__doc__.split(".")[0].split()))
    return result


def main():
    """Tells the whole story as a user of its own."""
    login, password = f"python-{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    told(health_is_serving)
    AUTH.Register(auth_pb2.RegisterRequest(login=login, password=password))
    laptop, phone = sign_in(login, password, "laptop"), sign_in(login, password, "phone")
    operator = sign_in("operator", os.environ["OPERATOR_PASSWORD"], "console")
    laptop, phone = told(both_refresh_twice, laptop, phone)
    laptop = told(threads_get_one_successor, laptop)
    told(lists_show_both, laptop, phone, operator)
    laptop = told(phone_is_revoked, laptop, phone)
    laptop = told(reuse_ends_one_session, laptop, login, password)
    told(errors_say_what_to_correct)
    told(deadline_is_kept_by_the_server, login)
    told(operator_disables, laptop, operator)


if __name__ == "__main__":
    try:
        main()
    except (Failed, grpc.RpcError) as error:
        sys.exit(f"FAILED: {error}")
