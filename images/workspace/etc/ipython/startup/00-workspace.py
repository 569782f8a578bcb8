"""First lines of every kernel: where the project's database is described, and the researcher's own packages."""

import os
import sys

os.environ.setdefault("PGSERVICEFILE", "/run/tre/pg_service.conf")
if packages := os.environ.get("PIP_TARGET"):
    # Python forgets a folder that is not there when it first looks.
    os.makedirs(packages, exist_ok=True)
    sys.path.append(packages)
