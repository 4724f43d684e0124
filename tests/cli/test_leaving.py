"""How the process ends: without freeing every object, which takes as long as much of a plan."""

from __future__ import annotations

import subprocess
import sys

FREED = """
import threading
import reconciler.__main__ as program

class Object:
    def __del__(self):
        print("freed", flush=True)

kept = Object()
"""


def ends(script: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-c", FREED + script], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_threads_that_are_about_to_end_do_not_make_the_exit_slow() -> None:
    """As those of a pool, each of which needs a moment of this thread's time to end."""
    script = """
program._ENDING = 60
threading.Thread(target=threading.Event().wait, args=(0.1,)).start()
program.leave(3)
"""
    assert ends(script) == (3, "")


def test_a_thread_that_does_not_end_is_not_waited_for_before_python_exits_in_its_normal_way() -> None:
    script = """
program._ENDING = 0.01
end = threading.Event()
threading.Thread(target=end.wait).start()
try:
    program.leave(3)
finally:
    end.set()
"""
    assert ends(script) == (3, "freed\n")


def test_a_thread_of_the_background_is_not_waited_for() -> None:
    """Python itself ends with it, and it may never end."""
    script = """
program._ENDING = 1e6
threading.Thread(target=threading.Event().wait, daemon=True).start()
program.leave(3)
"""
    assert ends(script)[0] == 3


def test_an_interrupt_ends_the_wait_for_threads() -> None:
    """Later ones are ignored for some seconds, so the first counts; what was done stays done."""
    script = """
import signal
from reconciler.cli import interrupts

program._ENDING = 60
end = threading.Event()
interrupts.handle(interrupts.Interruption())
class Thread(threading.Thread):
    def join(self, timeout=None):
        signal.raise_signal(signal.SIGINT)
Thread(target=end.wait).start()
try:
    program.leave(3)
finally:
    end.set()
"""
    assert ends(script) == (3, "")


def test_a_thread_that_is_not_started_yet_is_not_joined() -> None:
    script = """
late = threading.Thread()
threading._limbo[late] = late
program.leave(3)
"""
    code, said = ends(script)
    assert (code, "Traceback" in said) == (3, False)
