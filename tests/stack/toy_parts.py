"""What `test_supervisor` lets a supervisor of its own process run."""

from tests.stack.toys import toy

PARTS = (toy("first"), toy("second", needs=("first",)), toy("third", needs=("second",)))
