"""Reads on one connection and writes on another, within one request."""

from service import connect, read, serve, write


def increment(answer):
    with connect() as reader, connect() as writer:
        v = read(reader) + 1
        write(writer, v)
    answer({"v": v})


serve({"/increment": increment})
