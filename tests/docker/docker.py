#!/usr/bin/python3
"""Stands in for docker in the tests: `docker.py daemon` is the daemon, all else is its client.

What matters is as in the real one: the daemon starts the containers, so they are no descendants of the
client and go on when it is killed; it goes on making one whose client is gone; the client passes SIGTERM on.
One thing is worse: a container keeps its stdin when its client is killed.

It is linked to from a directory of each test, where all state lies: `calls` (each command line of the client, and its HOME), `containers/ID` (labels and pid),
`creating` (a container of the image `late` is being made, until `release`, a fifo, is written to), and
`broken` (while it is there, the daemon does not answer).
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading

STATE = os.path.dirname(os.path.abspath(__file__))
SOCKET = os.path.join(STATE, "socket")


def at(*names):
    return os.path.join(STATE, *names)


def read_line(connection):
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            break
        line += byte
    return json.loads(line or b"null")


def write_line(connection, value):
    connection.sendall(json.dumps(value).encode() + b"\n")


# The daemon.

processes = {}


def serve():
    os.makedirs(at("containers"))
    os.mkfifo(at("release"))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(SOCKET)
    listener.listen(64)
    print("listening", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=handle, args=(connection,), daemon=True).start()


def handle(connection):
    try:
        request = read_line(connection)
        if request is not None:
            {"run": run, "wait": wait, "kill": kill, "list": list_all, "remove": remove}[request["do"]](
                connection, request
            )
    except OSError:
        pass
    finally:
        connection.close()


def run(connection, request):
    if request["image"] == "late":
        open(at("creating"), "w").close()
        with open(at("release")) as release:
            release.read()
    name = secrets.token_hex(32)
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        request["command"], env=request["env"], cwd="/", stdin=pipe, stdout=pipe, bufsize=0, start_new_session=True
    )
    processes[name] = process
    with open(at("containers", "." + name), "w") as record:
        json.dump({"labels": request["labels"], "pid": process.pid}, record)
    os.rename(at("containers", "." + name), at("containers", name))
    threading.Thread(target=carry_in, args=(connection, process), daemon=True).start()
    told = True
    try:
        write_line(connection, name)
    except OSError:
        told = False
    while data := process.stdout.read(65536):
        try:
            if told:
                connection.sendall(data)
        except OSError:
            told = False
    process.wait()
    forget(name)


def carry_in(connection, process):
    try:
        while data := connection.recv(65536):
            process.stdin.write(data)
        # Said by the client; a client that was killed says nothing.
        if os.path.exists(at("eof-" + str(process.pid))):
            process.stdin.close()
    except OSError:
        pass


def forget(name):
    try:
        os.unlink(at("containers", name))
    except FileNotFoundError:
        pass


def wait(connection, request):
    write_line(connection, processes[request["id"]].wait())


def kill(_, request):
    processes[request["id"]].send_signal(request["signal"])


def list_all(connection, request):
    found = []
    for name in os.listdir(at("containers")):
        try:
            with open(at("containers", name)) as record:
                labels = json.load(record)["labels"]
        except FileNotFoundError:
            continue
        key, value = request["label"].split("=", 1)
        if not name.startswith(".") and labels.get(key) == value:
            found.append(name)
    write_line(connection, found)


def remove(connection, request):
    for name in request["ids"]:
        processes[name].kill()
        processes[name].wait()
        forget(name)
    write_line(connection, True)


# The client.


def main(words):
    with open(at("calls"), "a") as calls:
        calls.write(json.dumps({"words": words, "home": os.environ.get("HOME")}) + "\n")
    if words[0] == "run":
        start(words[1:])
    if os.path.exists(at("broken")):
        sys.exit("Cannot connect to the Docker daemon")
    match words:
        case ["ps", "-aq", "--filter", label] if label.startswith("label="):
            for name in ask({"do": "list", "label": label.removeprefix("label=")}):
                print(name)
        case ["rm", "-f", "-v", *ids]:
            ask({"do": "remove", "ids": ids})
        case _:
            sys.exit("unknown command")


def connect(request):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(SOCKET)
    write_line(connection, request)
    return connection


def ask(request):
    return read_line(connect(request))


def start(words):
    labels, env, note = {}, {"PATH": os.environ["PATH"]}, None
    while words[0].startswith("-"):
        option, _, value = words.pop(0).partition("=")
        if option in ("-e", "--label") and not value:
            value = words.pop(0)
        name, _, given = value.partition("=")
        if option == "-e" and name in os.environ:
            env[name] = given or os.environ[name]
        elif option == "--label":
            labels[name] = given
        elif option == "--cidfile":
            note = value
        elif option not in ("-e", "-i", "--interactive", "--rm", "--init"):
            sys.exit("unknown option " + option)
    request = {"do": "run", "labels": labels, "env": env, "image": words[0], "command": words[1:]}
    connection = connect(request)
    name = read_line(connection)
    with open(note, "x") as file:
        file.write(name)
    signal.signal(signal.SIGTERM, lambda *_: connect({"do": "kill", "id": name, "signal": 15}))
    threading.Thread(target=carry_out, args=(connection, name), daemon=True).start()
    while data := connection.recv(65536):
        while data:
            data = data[os.write(1, data) :]
    status = ask({"do": "wait", "id": name})
    os._exit(status if status >= 0 else 128 - status)


def carry_out(connection, name):
    while data := os.read(0, 65536):
        connection.sendall(data)
    with open(at("containers", name)) as record:
        open(at("eof-" + str(json.load(record)["pid"])), "w").close()
    connection.shutdown(socket.SHUT_WR)


if sys.argv[1:] == ["daemon"]:
    serve()
else:
    main(sys.argv[1:])
