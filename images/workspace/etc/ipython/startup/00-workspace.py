"""First lines of every kernel: where the project's database is described."""

import os

os.environ.setdefault("PGSERVICEFILE", "/run/tre/pg_service.conf")
