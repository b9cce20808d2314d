"""How processes end: whatever hangs in them, SIGTERM ends them, and a fault ends them non-zero."""

import signal
import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, logging, sys, threading, time
from lcm_operator import process

logging.basicConfig(level=logging.INFO)
GRACE = 1.5

async def stubborn():
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

async def announced(stopping):
    await stopping.requested.wait()
    print("stopping", flush=True)

async def work(stopping):
    print("up", flush=True)
{work}

process.run("test", work, grace_seconds=GRACE)
"""
FOREVER = "await stopping.requested.wait(); return 0"


def start(*work: str) -> subprocess.Popen[str]:
    body = "\n".join(f"    {line}" for line in work)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.replace("{work}", body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return the exit status and what was logged; the bound is far from what any of them takes."""
    try:
        _, log = process.communicate(timeout=20)
    finally:
        process.kill()
    return process.returncode, log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "before",
    [
        pytest.param("pass", id="nothing hangs"),
        pytest.param(
            "asyncio.ensure_future(asyncio.to_thread(time.sleep, 60))", id="a thread hangs in a request"
        ),
        pytest.param(
            "threading.Thread(target=time.sleep, args=(60,)).start()", id="a thread of somebody hangs"
        ),
        pytest.param("task = asyncio.ensure_future(stubborn())", id="a task ignores its end"),
    ],
)
def test_signal_ends_a_process_with_its_own_status(before, number):
    process = start(before, FOREVER)
    process.send_signal(number)
    assert ended(process)[0] == 0


@pytest.mark.parametrize(
    "hangs",
    [
        pytest.param("time.sleep(60)", id="the loop is blocked"),
        pytest.param("while True: pass", id="the loop is busy"),
        pytest.param("await stubborn()", id="the work ignores its end"),
    ],
)
def test_signal_ends_what_hangs_after_its_grace(hangs):
    process = start(hangs)
    process.send_signal(signal.SIGTERM)
    status, log = ended(process)
    assert status == 1
    assert "did not end in time, exiting now grace_seconds=1.5" in log


def test_second_signal_ends_a_process_at_once():
    process = start("task = asyncio.ensure_future(announced(stopping))", "await stubborn()")
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "stopping\n"
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 128 + signal.SIGTERM


@pytest.mark.parametrize("before", ["pass", "asyncio.ensure_future(asyncio.to_thread(time.sleep, 60))"])
def test_fault_ends_a_process_at_once_and_non_zero(before):
    status, log = ended(start(before, "raise RuntimeError('broken')"))
    assert status == 1
    assert "RuntimeError: broken" in log


def test_status_of_the_work_is_that_of_the_process():
    assert ended(start("return 2"))[0] == 2


def test_signals_are_handled_again_after_others_took_them():
    process = start(
        "for n in (2, 15): asyncio.get_running_loop().add_signal_handler(n, print)",
        "stopping.attach()",
        FOREVER,
    )
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 0
