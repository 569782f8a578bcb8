#!/bin/sh
# packages.sh ENVIRONMENT LOCK: a Python environment with exactly what a lock file lists. What comes as source only is built
# with the pinned tools of build.lock. The same bytes each time: no compiled file carries a time.
set -eu
environment=$1 lock=$2
export SOURCE_DATE_EPOCH=0 PYTHONHASHSEED=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
python3 -m venv /build
/build/bin/pip install -q --require-hashes --only-binary :all: -r images/build.lock
/build/bin/pip wheel -q --require-hashes --no-deps --only-binary :all: --no-binary autograd-gamma --no-build-isolation \
  --wheel-dir /build/wheels --requirement "$lock"
python3 -m venv --without-pip "$environment"
/build/bin/pip --python "$environment/bin/python" install -q --no-index --no-deps --no-compile /build/wheels/*.whl
rm "$environment"/bin/[Aa]ctivate*
"$environment/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$environment/lib" || true
