"""Runs the suite's cases against `wharf serve` and tells where they differ from expected.txt; `run` documents it."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import judge

HERE = Path(__file__).resolve().parent
REPORTS = HERE.parent / "reports" / "autobahn"
HOME = Path(os.environ["AUTOBAHN_HOME"]).resolve()
PROGRAM = os.environ["WHARF_BIN"]
JOBS = int(os.environ.get("AUTOBAHN_JOBS", "4"))
LONGEST_RUN = float(os.environ.get("AUTOBAHN_TIMEOUT", "1200"))
LONGEST_START = 20
LONGEST_END = 20
# The largest message of any case: 9.1.6 and its like send 16 MiB.
LIMIT = 16 * 1024 * 1024


def main(cases="full", *more):
    if more:
        raise judge.Unusable("usage: run [full|fast|CASES]")
    expectations = judge.select(judge.read_expectations((HERE / "expected.txt").read_text()), cases)
    # Reports of an earlier run would speak for cases that this one never reached.
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)

    start = time.monotonic()
    troubles = []
    with wharf(troubles) as url:
        folders = run_cases(url, list(expectations), troubles)
    seconds = time.monotonic() - start

    differences = judge.differences(expectations, judge.read_reports(folders))
    for trouble in troubles:
        print(trouble)
    for case, what, file in differences:
        print(f"{case}: {what}")
        if file is not None:
            judge.print_details(file)
    print(f"{len(expectations)} cases in {seconds:.0f} s: {len(differences)} not as expected; reports in {REPORTS}")
    return 1 if differences or troubles else 0


@contextmanager
def wharf(troubles):
    """The program while it serves: yields the URL of its echo. How it ended is part of the result."""
    limits = ["--max-received-frame-size", f"{LIMIT}", "--max-received-message-size", f"{LIMIT}"]
    with open(REPORTS / "wharf.log", "wb") as log:
        program = subprocess.Popen(
            [PROGRAM, "serve", "--listen", "127.0.0.1:0", *limits], stdout=subprocess.PIPE, stderr=log
        )
        try:
            yield address_printed(program) + "echo"
            if program.poll() is not None:
                troubles.append(f"wharf ended during the cases, with status {program.returncode}: {log.name}")
                return
            program.terminate()
            try:
                if program.wait(LONGEST_END) != 0:
                    troubles.append(f"wharf ended with status {program.returncode} when it was stopped: {log.name}")
            except subprocess.TimeoutExpired:
                troubles.append(f"wharf did not end within {LONGEST_END} s when it was stopped")
        finally:
            program.kill()
            program.wait()


def address_printed(program):
    impatience = threading.Timer(LONGEST_START, program.kill)
    impatience.start()
    line = program.stdout.readline().decode(errors="replace")
    impatience.cancel()
    found = re.fullmatch(r"wharf: serving http(://127\.0\.0\.1:\d+/)\n", line)
    if found is None:
        raise judge.Unusable(f"wharf's first line should be `wharf: serving http://127.0.0.1:PORT/`, and was {line!r}")
    # Read on, so that the program never blocks on a full pipe.
    threading.Thread(target=program.stdout.read, daemon=True).start()
    return "ws" + found[1]


def run_cases(url, cases, troubles):
    """Shares the cases among JOBS processes of the suite, each with a folder, and returns the folders."""
    deadline = time.monotonic() + LONGEST_RUN
    # Neighbours are alike, in length too: dealt out like cards, no process gets all the long ones.
    shares = [share for share in (cases[job::JOBS] for job in range(JOBS)) if share]
    folders = [REPORTS / f"{number}" for number in range(1, len(shares) + 1)]
    running = []
    try:
        for share, folder in zip(shares, folders):
            running.append(start_wstest(url, share, folder))
        for process, folder in zip(running, folders):
            try:
                if process.wait(max(0, deadline - time.monotonic())) != 0:
                    troubles.append(f"wstest ended with status {process.returncode}: {folder / 'wstest.log'}")
            except subprocess.TimeoutExpired:
                troubles.append(f"wstest did not end within {LONGEST_RUN:.0f} s: {folder / 'wstest.log'}")
    finally:
        for process in running:
            process.kill()
            process.wait()
    return folders


def start_wstest(url, cases, folder):
    folder.mkdir()
    spec = {
        "outdir": str(folder),
        "servers": [{"agent": "wharf", "url": url}],
        "cases": cases,
        # A peer that fails the connection has to send its Close first; by dropping TCP at once the suite would not see it.
        "options": {"failByDrop": False},
    }
    (folder / "spec.json").write_text(json.dumps(spec, indent=1))
    command = [HOME / "bin" / "wstest", "--mode", "fuzzingclient", "--spec", folder / "spec.json"]
    with open(folder / "wstest.log", "wb") as log:
        return subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except judge.Unusable as reason:
        print(f"conformance/autobahn: {reason}", file=sys.stderr)
        sys.exit(2)
