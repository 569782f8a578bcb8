"""`python -m tests.cluster.scale.as_pod FOLDER MODULE`: a process of the platform that finds its service account's
token in a folder, where a pod has it in /var/run/secrets.
"""

from __future__ import annotations

import runpy
import sys

from kubernetes.config import incluster_config


def main(folder: str, module: str) -> None:
    incluster_config.SERVICE_TOKEN_FILENAME = f"{folder}/token"
    incluster_config.SERVICE_CERT_FILENAME = f"{folder}/ca.crt"
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
