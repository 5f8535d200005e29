# Installs what the checks and the client tests call, and puts it on the PATH:
# buf, grpcurl, and a Python with grpcio. It is sourced from the root of the
# repository; everything goes to target/tools, and a second time costs nothing.

BUF_VERSION=1.75.0
GRPCURL_VERSION=1.9.4

tools=$PWD/target/tools
buf=$tools/buf-$BUF_VERSION
grpcurl=$tools/grpcurl-$GRPCURL_VERSION

if [[ ! -x $buf/node_modules/.bin/buf ]]; then
  # The package carries the program itself, so that no script has to fetch it.
  npm install --prefix "$buf" --no-save --no-audit --no-fund --ignore-scripts \
    "@bufbuild/buf@$BUF_VERSION"
fi
if [[ ! -x $grpcurl/grpcurl ]]; then
  GOBIN=$grpcurl go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@v$GRPCURL_VERSION"
fi
if [[ ! -x $tools/venv/bin/pip ]]; then
  python3 -m venv "$tools/venv"
fi
# Not the program pip, which names its Python by a path that a moved clone breaks.
"$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r tests/clients/requirements.txt

export PATH="$buf/node_modules/.bin:$grpcurl:$tools/venv/bin:$PATH"
