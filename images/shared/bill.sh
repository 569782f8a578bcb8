#!/bin/sh
# bill.sh ENVIRONMENT NAME: what an environment consists of, as CycloneDX, into the image's /usr/share/sbom.
set -eu
mkdir -p /bill/usr/share/sbom
/build/bin/cyclonedx-py environment --output-reproducible --sv 1.6 --of JSON -o "/bill/usr/share/sbom/$2.python.cdx.json" \
  "$1/bin/python"
