"""One seat, kept in memory: `/socket` names the place between look and act by the socket, `/comment` by a comment in SQL,
`/locked` holds a lock around both, `/silent` names nothing."""

import json
import os
import socket
from threading import Lock

from service import connect, serve

free = {"seats": 1}
mutex = Lock()


def by_socket(name, **values):
    host, _, port = os.environ.get("DEADHEAT_POINTS", "").rpartition(":")
    if host:
        with socket.create_connection((host, int(port))) as gate:
            gate.sendall(f"point 1 {name} {json.dumps(values)}\n".encode())
            gate.recv(64)


def by_comment(name):
    with connect() as db:
        db.execute(f"select /* deadheat:point {name} */")


def sit(answer, between):
    seats = free["seats"]
    between(seats)
    if seats > 0:
        free["seats"] = seats - 1
    answer({"sits": seats > 0})


def locked(answer):
    with mutex:
        sit(answer, lambda seats: by_socket("seat_checked", free=seats))


def reset(answer):
    free["seats"] = 1
    answer({})


serve(
    {
        "/socket": lambda answer: sit(answer, lambda seats: by_socket("seat_checked", free=seats)),
        "/comment": lambda answer: sit(answer, lambda _: by_comment("seat_checked")),
        "/silent": lambda answer: sit(answer, lambda _: None),
        "/locked": locked,
        "/reset": reset,
    }
)
