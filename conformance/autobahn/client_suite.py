"""Runs the suite's cases against wharf's client and tells where they differ from expected.txt; `run-client` documents it.

The verdicts are those of the server, to the last: what a case demands of one end it demands of the other.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import judge

HERE = Path(__file__).resolve().parent
REPORTS = HERE.parent / "reports" / "autobahn-client"
HOME = Path(os.environ["AUTOBAHN_HOME"]).resolve()
CLIENT = os.environ["WHARF_CLIENT"]
JOBS = int(os.environ.get("AUTOBAHN_JOBS", "4"))
LONGEST_RUN = float(os.environ.get("AUTOBAHN_TIMEOUT", "1200"))
LONGEST_START = 20


def main(cases="full", *more):
    if more:
        raise judge.Unusable("usage: run-client [full|fast|CASES]")
    expectations = judge.select(judge.read_expectations((HERE / "expected.txt").read_text()), cases)
    # Reports of an earlier run would speak for cases that this one never reached.
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)

    start = time.monotonic()
    troubles = []
    folders = run_cases(list(expectations), troubles)
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


def run_cases(cases, troubles):
    """Shares the cases among JOBS of the suite's servers, each with a client and a folder, and returns the folders."""
    deadline = time.monotonic() + LONGEST_RUN
    shares = [share for share in (cases[job::JOBS] for job in range(JOBS)) if share]
    folders = [REPORTS / f"{number}" for number in range(1, len(shares) + 1)]
    servers, clients = [], []
    try:
        ports = [free_port() for _ in shares]
        for share, folder, port in zip(shares, folders, ports):
            servers.append(start_wstest(share, folder, port))
        for server, folder, port in zip(servers, folders, ports):
            wait_until_it_listens(server, port, folder)
            clients.append(start_client(folder, port))
        for client, folder in zip(clients, folders):
            try:
                if client.wait(max(0, deadline - time.monotonic())) != 0:
                    troubles.append(f"the client ended with status {client.returncode}: {folder / 'client.log'}")
            except subprocess.TimeoutExpired:
                troubles.append(f"the client did not end within {LONGEST_RUN:.0f} s: {folder / 'client.log'}")
    finally:
        for process in clients + servers:
            process.kill()
            process.wait()
    return folders


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start_wstest(cases, folder, port):
    folder.mkdir()
    spec = {
        "outdir": str(folder),
        "url": f"ws://127.0.0.1:{port}",
        "cases": cases,
        # A peer that fails the connection has to send its Close first; by dropping TCP at once the suite would not see it.
        "options": {"failByDrop": False},
    }
    (folder / "spec.json").write_text(json.dumps(spec, indent=1))
    # `--webport 0`: no page beside the cases.
    command = [HOME / "bin" / "wstest", "--mode", "fuzzingserver", "--spec", folder / "spec.json", "--webport", "0"]
    with open(folder / "wstest.log", "wb") as log:
        return subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)


def wait_until_it_listens(server, port, folder):
    deadline = time.monotonic() + LONGEST_START
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise judge.Unusable(f"wstest does not listen: {folder / 'wstest.log'}")


def start_client(folder, port):
    with open(folder / "client.log", "wb") as log:
        command = [CLIENT, f"ws://127.0.0.1:{port}"]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except judge.Unusable as reason:
        print(f"conformance/autobahn: {reason}", file=sys.stderr)
        sys.exit(2)
