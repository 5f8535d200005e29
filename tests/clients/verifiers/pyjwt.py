#!/usr/bin/env python3
"""Judges access tokens with PyJWT, as a service in Python does.

    tests/clients/verifiers/pyjwt.py URL ISSUER AUDIENCE CORPUS

URL is where Rollcall's key set and metadata are. CORPUS has a JSON object a line:
`what` and `token`, and whether the token is `good`. Prints each wrong verdict, and
fails on any.
"""

import json
import sys
import urllib.request

import jwt

ALGORITHMS = ["EdDSA", "ES256"]
REQUIRED = {"iss": str, "exp": int, "aud": str, "sub": str, "client_id": str, "iat": int, "jti": str}


def fetch(url):
    """The JSON document at a URL."""
    with urllib.request.urlopen(url, timeout=10) as reply:
        return json.load(reply)


class Verifier:
    """What a service knows: whose tokens it takes, for whom, and the keys."""

    def __init__(self, url, issuer, audience):
        metadata = fetch(f"{url}/.well-known/oauth-authorization-server")
        if metadata["issuer"] != issuer:
            sys.exit(f"the metadata is that of {metadata['issuer']}")
        self.issuer = issuer
        self.audience = audience
        keys = jwt.PyJWKSet.from_dict(fetch(f"{url}/.well-known/jwks.json")).keys
        self.keys = {key.key_id: key for key in keys}

    def verify(self, token):
        """The claims of a token (RFC 9068 section 4); raises where it is not to be taken."""
        header = jwt.get_unverified_header(token)
        if header.get("typ") != "at+jwt":
            raise jwt.InvalidTokenError("another type")
        key = self.keys.get(header.get("kid"))
        if key is None:
            raise jwt.InvalidTokenError("an unknown key")
        # With a PyJWK, the key decides the algorithm.
        claims = jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            issuer=self.issuer,
            audience=self.audience,
            options={"require": list(REQUIRED), "strict_aud": True},
        )
        for name, kind in REQUIRED.items():
            # The library reads numbers from texts. A bool is an int, and not of this type.
            if type(claims[name]) is not kind:
                raise jwt.InvalidTokenError(f"{name} of another type")
        return claims


def main():
    url, issuer, audience, corpus = sys.argv[1:]
    verifier = Verifier(url, issuer, audience)
    counts = {True: 0, False: 0}
    wrong = 0
    with open(corpus, encoding="utf-8") as lines:
        for case in map(json.loads, lines):
            try:
                verifier.verify(case["token"])
                verdict = "taken"
            except jwt.PyJWTError as error:
                verdict = f"refused: {error}"
            counts[case["good"]] += 1
            if (verdict == "taken") != case["good"]:
                wrong += 1
                print(f"WRONG: {case['what']} is {verdict}")
    print(f"PyJWT {jwt.__version__}: {counts[True]} good, {counts[False]} bad, {wrong} wrong verdicts")
    sys.exit(bool(wrong) or not all(counts.values()))


main()
