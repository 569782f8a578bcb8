"""How many examples hypothesis tries: few by default, many with TRE_TEST_LONG=1."""

import os

from hypothesis import HealthCheck, settings

LONG = os.environ.get("TRE_TEST_LONG") == "1"
settings.register_profile(
    "output_checks",
    max_examples=1000 if LONG else 25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    derandomize=not LONG,
)
settings.load_profile("output_checks")
