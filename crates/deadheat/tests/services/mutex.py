"""A mutex of the process: `/both` holds it around the read and the write, `/each` around each of them."""

from threading import Lock

from service import connect, read, serve, write

mutex = Lock()


def both(answer):
    with connect() as db:
        with mutex:
            v = read(db) + 1
            write(db, v)
    answer({"v": v})


def each(answer):
    with connect() as db:
        with mutex:
            v = read(db) + 1
        with mutex:
            write(db, v)
    answer({"v": v})


serve({"/both": both, "/each": each})
