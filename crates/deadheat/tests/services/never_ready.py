"""Listens, and says that it is not ready yet, for ever."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class NotYet(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(503, "warming up")

    def log_message(self, *_):
        """Keeps standard error for errors."""


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), NotYet).serve_forever()
