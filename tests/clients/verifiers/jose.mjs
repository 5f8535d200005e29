// Judges access tokens with jose, as a service on Node does.
//
//     node tests/clients/verifiers/jose.mjs URL ISSUER AUDIENCE CORPUS
//
// URL is where Rollcall's key set and metadata are. CORPUS has a JSON object a line:
// `what` and `token`, and whether the token is `good`. Prints each wrong verdict, and
// fails on any. The package is found by NODE_PATH, which `import` alone does not look at.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const jose = createRequire(import.meta.url).resolve("jose");
const { createRemoteJWKSet, decodeProtectedHeader, errors, jwtVerify } = await import(
  pathToFileURL(jose)
);

const ALGORITHMS = ["EdDSA", "ES256"];
const isText = (value) => typeof value === "string";
const REQUIRED = {
  iss: isText,
  exp: Number.isInteger,
  aud: isText,
  sub: isText,
  client_id: isText,
  iat: Number.isInteger,
  jti: isText,
};

class Refused extends Error {}

const [url, issuer, audience, corpus] = process.argv.slice(2);
const reply = await fetch(`${url}/.well-known/oauth-authorization-server`);
const metadata = await reply.json();
if (metadata.issuer !== issuer) {
  throw new Error(`the metadata is that of ${metadata.issuer}`);
}
const keys = createRemoteJWKSet(new URL(`${url}/.well-known/jwks.json`));

// The claims of a token (RFC 9068 section 4); throws where it is not to be taken.
async function verify(token) {
  // Without a kid, the library would take the only key of the algorithm.
  if (!isText(header(token).kid)) {
    throw new Refused("no kid");
  }
  const { payload } = await jwtVerify(token, keys, {
    algorithms: ALGORITHMS,
    audience,
    issuer,
    requiredClaims: Object.keys(REQUIRED),
    typ: "at+jwt",
  });
  for (const [name, isRight] of Object.entries(REQUIRED)) {
    if (!isRight(payload[name])) {
      throw new Refused(`${name} of another type`);
    }
  }
}

function header(token) {
  try {
    return decodeProtectedHeader(token);
  } catch (error) {
    throw new Refused(error.message);
  }
}

const lines = (await readFile(corpus, "utf8")).trimEnd().split("\n");
let [good, bad, wrong] = [0, 0, 0];
for (const line of lines) {
  const one = JSON.parse(line);
  let verdict = "taken";
  try {
    await verify(one.token);
  } catch (error) {
    // What is no verdict, as a key set that cannot be fetched, ends the program.
    const isVerdict =
      error instanceof Refused ||
      (error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout));
    if (!isVerdict) {
      throw error;
    }
    verdict = `refused: ${error.message}`;
  }
  if (one.good) {
    good += 1;
  } else {
    bad += 1;
  }
  if ((verdict === "taken") !== one.good) {
    wrong += 1;
    console.log(`WRONG: ${one.what} is ${verdict}`);
  }
}
console.log(`jose: ${good} good, ${bad} bad, ${wrong} wrong verdicts`);
process.exitCode = wrong > 0 || good === 0 || bad === 0 ? 1 : 0;
