"""The server behind the service under test; runs in a container that has nothing but Python.

``GET /`` gives the page of /srv; ``GET /bytes/N`` streams N octets; ``POST`` answers with the SHA-256 of what it got.
Plain threads, because it stands for software that knows nothing of the network.
"""

import hashlib
import http.server
import pathlib
import sys

BLOCK = bytes(range(256)) * 256


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/bytes/"):
            self.stream(int(self.path.rsplit("/", 1)[1]))
            return
        body = pathlib.Path("/srv/index.html").read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, count):
        self.send_response(200)
        self.send_header("Content-Length", str(count))
        self.end_headers()
        while count > 0:
            part = BLOCK[:count]
            self.wfile.write(part)
            count -= len(part)

    def do_POST(self):
        left = int(self.headers["Content-Length"])
        digest = hashlib.sha256()
        while left > 0:
            part = self.rfile.read(min(left, 1 << 16))
            if not part:
                break
            digest.update(part)
            left -= len(part)
        body = digest.hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True


Server(("", int(sys.argv[1])), Handler).serve_forever()
