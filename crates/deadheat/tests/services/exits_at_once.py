"""Ends before it listens."""

import sys

print("no licence file", file=sys.stderr)
sys.exit(3)
