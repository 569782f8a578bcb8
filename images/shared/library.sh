#!/bin/sh
# library.sh ENVIRONMENT FOLDER...: what was copied from a checkout: everyone reads it, and it is compiled like the rest.
set -eu
environment=$1
shift
chmod -R a+rX,go-w "$@"
PYTHONHASHSEED=0 "$environment/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$@"
