#!/bin/sh
# tre.sh ENVIRONMENT: tre itself into an environment, after all that it needs.
set -eu
environment=$1
export SOURCE_DATE_EPOCH=0 PYTHONHASHSEED=0 PIP_DISABLE_PIP_VERSION_CHECK=1
/build/bin/pip wheel -q --no-deps --no-index --no-build-isolation --wheel-dir /build/tre .
/build/bin/pip --python "$environment/bin/python" install -q --no-index --no-deps --no-compile /build/tre/tre-*.whl
# Which file it was installed from tells nobody anything.
rm -f "$environment"/lib/python3*/site-packages/tre-*.dist-info/direct_url.json
"$environment/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$environment"/lib/python3*/site-packages/tre \
  "$environment"/lib/python3*/site-packages/output_checks
