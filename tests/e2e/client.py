"""Clients of the service under test; runs in a container that has nothing but Python.

``client.py many HOST PORT COUNT``: COUNT connections open at the same time, each asks for and checks a page.
``client.py share HOST PORT COUNT``: COUNT connections open at the same time; print how often each page came, as JSON.
``client.py stall HOST PORT SECONDS``: ask for much, read a little, then stop reading for SECONDS.
``client.py echo-sum HOST PORT OCTETS``: send OCTETS, print the digest computed here and the one the server computed.
``client.py fetch-sum HOST PORT OCTETS``: fetch OCTETS, print the digest of what came and of what was expected.
``client.py hold HOST PORT COUNT``: COUNT connections that stay, each asked for the page over and over; print for each
round how many of them still answer.
``client.py calls HOST PORT MILLISECONDS``: ask for the page over and over on new connections with that pause between,
print for each call when it began and ended (CLOCK_MONOTONIC, which all containers share) and ``ok`` or what failed.
"""

import collections
import hashlib
import http.client
import json
import socket
import sys
import time

BLOCK = bytes(range(256)) * 256


def expected(count):
    digest = hashlib.sha256()
    while count > 0:
        part = BLOCK[:count]
        digest.update(part)
        count -= len(part)
    return digest.hexdigest()


def blocks(count):
    while count > 0:
        part = BLOCK[:count]
        yield part
        count -= len(part)


def many(host, port, count):
    connections = [http.client.HTTPConnection(host, port, timeout=60) for _ in range(count)]
    for connection in connections:
        connection.connect()
    for connection in connections:
        connection.request("GET", "/bytes/10000")
    good = 0
    for connection in connections:
        good += connection.getresponse().read() == b"".join(blocks(10000))
    print(good)


def share(host, port, count):
    connections = [http.client.HTTPConnection(host, port, timeout=30) for _ in range(count)]
    pages = collections.Counter()
    for connection in connections:
        try:
            connection.request("GET", "/")
            pages[connection.getresponse().read().decode().strip()] += 1
        except (OSError, http.client.HTTPException):
            pages["failed"] += 1
    print(json.dumps(pages))


def stall(host, port, seconds):
    client = socket.create_connection((host, port), timeout=30)
    client.sendall(b"GET /bytes/2000000000 HTTP/1.1\r\nHost: x\r\n\r\n")
    client.recv(1000)
    print("stalled", flush=True)
    time.sleep(seconds)
    print(len(client.recv(1000)) > 0)


def echo_sum(host, port, count):
    connection = http.client.HTTPConnection(host, port, timeout=300)
    connection.request("POST", "/", body=blocks(count), headers={"Content-Length": str(count)})
    print(expected(count), connection.getresponse().read().decode())


def fetch_sum(host, port, count):
    connection = http.client.HTTPConnection(host, port, timeout=300)
    connection.request("GET", f"/bytes/{count}")
    response = connection.getresponse()
    digest = hashlib.sha256()
    while True:
        part = response.read(1 << 18)
        if not part:
            break
        digest.update(part)
    print(expected(count), digest.hexdigest())


def hold(host, port, count):
    connections = [http.client.HTTPConnection(host, port, timeout=60) for _ in range(count)]
    for connection in connections:
        connection.connect()
        connection.auto_open = False  # one that ends stays away
    while True:
        alive = 0
        for connection in connections:
            try:
                connection.request("GET", "/")
                alive += bool(connection.getresponse().read())
            except (OSError, http.client.HTTPException):
                pass
        print(alive, flush=True)
        time.sleep(0.2)


def calls(host, port, pause):
    while True:
        began = time.monotonic()
        try:
            connection = http.client.HTTPConnection(host, port, timeout=1)
            connection.request("GET", "/")
            outcome = "ok" if connection.getresponse().read() else "empty"
            connection.close()
        except (OSError, http.client.HTTPException) as error:
            outcome = repr(error)
        print(f"{began:.3f} {time.monotonic():.3f} {outcome}", flush=True)
        time.sleep(pause / 1000)


actions = {
    "calls": calls, "hold": hold, "many": many, "share": share, "stall": stall,
    "echo-sum": echo_sum, "fetch-sum": fetch_sum,
}  # fmt: skip
actions[sys.argv[1]](sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
