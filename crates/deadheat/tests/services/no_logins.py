"""Lets nobody log in."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class NoLogins(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(403)
        self.end_headers()
        self.wfile.write(b"ben is not known here")

    def log_message(self, *_):
        """Keeps standard error for errors."""


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), NoLogins).serve_forever()
