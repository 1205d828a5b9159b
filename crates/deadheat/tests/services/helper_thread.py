"""Runs its queries in helper threads, while the thread of the request waits."""

from concurrent.futures import ThreadPoolExecutor

from service import connect, read, serve, write

helpers = ThreadPoolExecutor(4)


def increment(answer):
    with connect() as db, db.transaction():
        v = helpers.submit(read, db).result() + 1
        helpers.submit(write, db, v).result()
    answer({"v": v})


serve({"/increment": increment})
