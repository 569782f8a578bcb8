"""What every checking sandbox is asked, be it one of this machine or the checking pod."""

READERS = (
    "import duckdb; print(duckdb.sql(\"select a from '/input/table.csv'\").fetchall()[0][0])",
    "import polars; print(polars.read_csv('/input/table.csv')['a'][0])",
    "import pyarrow.csv as c; print(c.read_csv('/input/table.csv')['a'][0])",
    "import PIL.Image, output_checks, tre.errors; print(1)",
)
#: None of these may succeed.
REACHING = (
    "import socket; socket.socket()",
    "import socket; socket.socketpair()",
    "open('/etc/passwd', 'a')",
    "open('/new', 'w')",
    "import os; os.setuid(0)",
    "import os; [os.fork() for _ in range(100)]",
    "import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0",
    "import resource; resource.setrlimit(resource.RLIMIT_DATA, (-1, -1))",
    "open('/input/other.csv')",
)
ENDLESS = ("while True: pass", "import time; time.sleep(600)", "import os; os.kill(os.getpid(), 19)")
NOT_PLAIN = ("../x", "a/b", "", ".hidden", "a\nb", "x" * 65)
