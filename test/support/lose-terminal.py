"""Runs a program in a terminal of its own, passes on what it shows, and on SIGUSR1 takes the terminal away.

usage: lose-terminal.py <file for standard output, or -> <program> <argument>...
Prints `pid <number>` first, and `terminal lost` once it is. Ends with the exit code of the program, 128 and its number after a signal.
"""
import os
import pty
import signal
import sys


class Lost(Exception):
    pass


def lose(*_):
    raise Lost


signal.signal(signal.SIGUSR1, lose)
output, program = sys.argv[1], sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    if output != "-":
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 1)
    os.execv(program[0], program)
try:
    os.write(1, b"pid %d\n" % pid)
    while True:
        os.write(1, os.read(terminal, 65536))
except (Lost, OSError):
    os.close(terminal)
    os.write(1, b"terminal lost\n")
_, status = os.waitpid(pid, 0)
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
