"""When parts die: a researcher is at work on a release, and each of its pods and servers goes away once."""
