"""`python3 debian.py`: what of Debian is in this file system, as CycloneDX on standard output."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

STATUS = Path("/var/lib/dpkg/status")


def component(paragraph: str) -> dict[str, Any]:
    fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
    name, version, architecture = (fields[key] for key in ("Package", "Version", "Architecture"))
    place = f"pkg:deb/debian/{name}@{quote(version, safe='')}?arch={architecture}"
    return {"type": "library", "bom-ref": place, "name": name, "version": version, "purl": place}


def bill(status: str) -> dict[str, Any]:
    found = [
        component(each) for each in status.split("\n\n") if re.search("^Status: .* installed$", each, re.MULTILINE)
    ]
    parts = sorted(found, key=lambda each: each["bom-ref"])
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": parts}


if __name__ == "__main__":
    print(json.dumps(bill(STATUS.read_text()), indent=1, sort_keys=True))
