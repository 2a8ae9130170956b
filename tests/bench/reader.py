"""Small reads on one connection until stdin closes; prints how long each took.

Run it as ``python reader.py PORT PATH AUTHORIZATION``; it prints a line once the first was answered
and in the end a JSON list of the seconds of all others. It is a process of its own, so that
nothing else the benchmark does can delay it.
"""

import json
import select
import sys
import time
from http.client import HTTPConnection


def main(port: str, path: str, authorization: str) -> None:
    """Read without a pause.

    Raises:
        SystemExit: an answer is not 200.
    """
    connection = HTTPConnection("127.0.0.1", int(port), timeout=60)
    took: list[float] = []
    _read(connection, path, authorization)
    print("reading", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        took.append(_read(connection, path, authorization))
    print(json.dumps(took))


def _read(connection: HTTPConnection, path: str, authorization: str) -> float:
    started = time.perf_counter()
    connection.request("GET", path, headers={"Authorization": authorization})
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        sys.exit(f"a small read was answered with {answer.status}")
    return time.perf_counter() - started


if __name__ == "__main__":
    main(*sys.argv[1:])
