"""The peers' side of the benchmark, run by an interpreter that has acro and pytauargus: prints one JSON line."""

import json
import logging
import os
import sys
import tempfile
import time

logging.disable(logging.CRITICAL)
sys.path.insert(0, os.path.dirname(__file__))
LEVELS = {"two hierarchies, 8547 cells": {"a": "1 1", "b": "1 1 1 1"}}


def acro(path, aggfunc, suppress):
    """Processor seconds of one ACRO crosstab of v by a and b, a table in memory, and what the clock said."""
    import pandas as pd
    from acro import ACRO

    data = pd.read_parquet(path)
    session = ACRO(suppress=suppress)
    started, clock = time.process_time(), time.perf_counter()
    session.crosstab(data.a, data.b, values=data.v, aggfunc=aggfunc)
    return {"seconds": time.process_time() - started, "clock": time.perf_counter() - clock}


def argus(name, method):
    """Processor seconds and further suppressed cells of pytauargus on an instance, table making included."""
    from collections import Counter

    import instances
    from pytauargus import protect

    data, spec = instances.INSTANCES[name]()
    data["v"] = 1
    started, clock = time.process_time(), time.perf_counter()
    done = protect(
        data, tables=spec["rows"] + spec["columns"], response="v", safety_rules="FREQ(10,30)", suppress=method,
        hrc=LEVELS.get(name), workdir=tempfile.mkdtemp(),
    )  # fmt: skip
    seconds, clock = time.process_time() - started, time.perf_counter() - clock
    found = Counter(done.tables[0].status())
    return {"seconds": seconds, "clock": clock, "primary": found["U"], "secondary": found["M"]}


if __name__ == "__main__":
    kind, *rest = sys.argv[1:]
    out = acro(rest[0], rest[1], rest[2] == "suppressed") if kind == "acro" else argus(*rest)
    print("JSON " + json.dumps(out))
