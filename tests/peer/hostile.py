"""What a hostile server tries. Called as: python3 -c THIS ACT ARGUMENTS, with JSON arguments.

An attack that worked prints {"ok": ...}, one that was refused {"error": NAME}. Nothing here harms a machine on
which the sandbox fails: what it would break is asked for in a way that only shows that it could be done.
"""

import ctypes, errno, json, os, signal, socket, subprocess, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)
MACHINE = os.uname().machine
NUMBERS = {"x86_64": (56, 248, 250, 435), "aarch64": (220, 217, 219, 435)}
CLONE, ADD_KEY, KEYCTL, CLONE3 = NUMBERS.get(MACHINE, (-1, -1, -1, -1))


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def look(path):
    return os.listdir(path)


def peek(path):
    with open(path, "rb") as file:
        return file.read(1 << 16).decode("latin-1")


def put(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666))
    return path


def where(path):
    return os.readlink(path)


def enter(path):
    os.chdir(path)
    return path


def link(path):
    os.link(path, "stolen")
    return path


def trace(pid):
    checked(libc.ptrace(16, pid, 0, 0))
    os.waitpid(pid, 0)
    return checked(libc.ptrace(17, pid, 0, 0))


def memory(pid):
    buffer, vector = ctypes.create_string_buffer(8), (ctypes.c_size_t * 2)()
    vector[0], vector[1] = ctypes.addressof(buffer), 8
    return checked(libc.process_vm_readv(pid, vector, 1, vector, 1, 0))


def kill(pid):
    return os.kill(pid, signal.SIGKILL)


def kill_all():
    # Who is not confined must not do this.
    return "it is root" if os.getuid() < 1000 else os.kill(-1, signal.SIGKILL)


def slow_down(pid):
    return os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


def harass(pid):
    """Slows another down in the moment in which that may be done, if there is one."""

    def work(ready):
        os.setsid()
        ready()
        os.fork()
        while True:
            try:
                slow_down(pid)
            except OSError:
                pass

    return background(work)


def limit(pid):
    import resource
    return resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, 64))


def connect(host, port):
    return socket.create_connection((host, port), 5).close()


def serve_itself():
    server = socket.create_server(("127.0.0.1", 0))
    connect(*server.getsockname())
    return True


def ipc(kind):
    call = {
        "shm": lambda: libc.shmget(0x10C4, 4096, 0o1666),
        "sem": lambda: libc.semget(0x10C4, 1, 0o1666),
        "msg": lambda: libc.msgget(0x10C4, 0o1666),
        "mq": lambda: libc.mq_open(b"/lockgate-test", os.O_CREAT | os.O_RDWR, 0o666, None),
        "add_key": lambda: libc.syscall(ADD_KEY, b"user", b"lockgate-test", b"x", 1, -4),
        "keyctl": lambda: libc.syscall(KEYCTL, 0, -4, 1),
        # Shared memory by the number that the x32 ABI has for it.
        "x32": lambda: libc.syscall(0x40000000 | 29, 0x10C4, 4096, 0o1666),
    }[kind]
    return checked(call())


def unshare(flags):
    return checked(libc.unshare(flags))


def mount(path):
    return checked(libc.mount(b"tmpfs", path.encode(), b"tmpfs", 0, None))


def sibling():
    """A child of our parent's parent: whoever that is must reap it."""
    CLONE_PARENT = 0x8000
    arguments = (ctypes.c_uint64 * 11)(CLONE_PARENT, 0, 0, 0, signal.SIGCHLD)
    made = libc.syscall(CLONE3, arguments, 88)
    if made < 0:
        made = checked(libc.syscall(CLONE, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0))
    if made == 0:
        os._exit(0)
    return made


def run(argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=10)
    if done.returncode:
        raise OSError(errno.EPERM, "refused")
    return done.stdout.decode("latin-1")


def background(work):
    """Goes on by itself, as a child of whoever takes orphans."""
    ready, done = os.pipe()
    if os.fork() == 0:
        os.close(ready)
        quiet = os.open("/dev/null", os.O_RDWR)
        for descriptor in range(3):
            os.dup2(quiet, descriptor)
        work(lambda: os.close(done))
        os._exit(0)
    os.close(done)
    os.read(ready, 1)
    return True


def sleep():
    while True:
        time.sleep(3600)


def spin(count):
    def work(ready):
        ready()
        for _ in range(count - 1):
            if os.fork() == 0:
                break
        while True:
            pass

    return background(work)


def bomb():
    def work(ready):
        ready()
        while os.getuid() >= 1000:
            try:
                os.fork()
            except OSError:
                pass

    return background(work)


def allocate(bytes):
    def work(ready):
        ready()
        kept = []
        for _ in range(bytes >> 24):
            kept.append(bytearray(b"x") * (1 << 24))
        sleep()

    return background(work)


def fill(path, bytes):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, bytes)


def escape(kind, token):
    return background(globals()["escape_" + kind])


def escape_setsid(ready):
    os.setsid()
    ready()
    sleep()


def escape_twice(ready):
    for _ in range(2):
        if os.fork():
            os._exit(0)
        os.setsid()
    ready()
    sleep()


def escape_deaf(ready):
    os.setsid()
    for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    ready()
    sleep()


def escape_stopped(ready):
    os.setsid()
    ready()
    os.kill(os.getpid(), signal.SIGSTOP)


def escape_hopping(ready):
    ready()
    while True:
        if os.fork():
            os._exit(0)
        os.setsid()


def escape_bare(ready):
    os.setsid()
    script = "import time; time.sleep(3600)"
    ready()
    os.execve(sys.executable, ["python3", "-c", script, sys.argv[2]], {})


def escape_closed(ready):
    os.setsid()
    ready()
    os.closerange(0, 4096)
    sleep()


def escape_undumpable(ready):
    os.setsid()
    checked(libc.prctl(4, 0, 0, 0, 0))
    ready()
    sleep()


def escape_headless(ready):
    """Its first thread is a zombie, and so it seems to be one."""
    os.setsid()
    threading.Thread(target=sleep).start()
    ready()
    libc.syscall({"x86_64": 60, "aarch64": 93}[MACHINE], 0)


def escape_namespaced(ready):
    os.setsid()
    CLONE_NEWUSER, CLONE_NEWPID = 0x10000000, 0x20000000
    # Where that is refused, it is one more that has left its group.
    libc.unshare(CLONE_NEWUSER | CLONE_NEWPID)
    os.fork()
    ready()
    sleep()


if __name__ == "__main__":
    arguments = json.loads(sys.argv[2])
    try:
        answer = {"ok": globals()[sys.argv[1]](**arguments)}
    except OSError as error:
        answer = {"error": errno.errorcode.get(error.errno, str(error))}
    print(json.dumps(answer), flush=True)
