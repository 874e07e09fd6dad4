#!/usr/bin/env python3
"""Runs the stock OpenStack clients against a real Coffer server.

Usage: stock_clients.py path/to/coffer
Prints one line a step and `N passed, N failed`; exits with 1 if any failed.
"""

import contextlib
import sys
import traceback

from clients import Way, forget_environment
from gophercloud import gophercloud
from identity import identity
from program import program
from server import Server, Token
from tour import tour


class Check:
    """Counts the steps; a step that fails does not keep the next ones from running."""

    def __init__(self):
        self.passed, self.failed = 0, []

    @contextlib.contextmanager
    def __call__(self, name):
        try:
            yield
        except Exception:  # pylint: disable=broad-except
            self.failed.append(name)
            print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
        else:
            self.passed += 1
            print(f"ok     {name}", flush=True)


def main():
    forget_environment()
    binary, check = sys.argv[1], Check()
    # Keystone's form of a project id: `quota show` asks Keystone about any other.
    projects = [digit * 32 for digit in "abcd"]
    roles = (("alice", projects[0], "member"), ("bob", projects[1], "member"),
             ("rita", projects[2], "reader"), ("carl", projects[2], "member"),
             ("root", projects[3], "admin"))
    with Server(binary, projects, [Token(*role) for role in roles]) as server:
        def way(name, kind):
            token = server.tokens[name]
            return Way(server, token.project, kind, token)

        tour(way("alice", "token"), check)
        tour(way("bob", "basic"), check)
        stranger = Way(server, projects[2], "token", Token("eve", projects[2], "admin"))
        people = [way(name, "token") for name in ("root", "carl", "rita")]
        program(*people, stranger, check)
        with check("token: a wrong one is refused with its reason"):
            said = stranger.fails("database", "backup", "list")
            assert "HTTP 401" in said, said
        carl = way("carl", "token")
        shop = carl.server.ask(carl.project, "instances", carl.secret)[1]["instances"][0]["id"]
        gophercloud(carl, shop, check)
        identity(server, projects[0], check)
        if check.failed:
            print("".join(server.log))
    with Server(binary, projects[:1], []) as server:
        tour(Way(server, projects[0], "none"), check)
        if check.failed:
            print("".join(server.log))
    print(f"stock clients: {check.passed} passed, {len(check.failed)} failed")
    sys.exit(1 if check.failed else 0)


if __name__ == "__main__":
    main()
