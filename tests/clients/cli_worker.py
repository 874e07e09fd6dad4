"""`openstack` once started and called many times: its start takes longer than all the rest.

Reads a list of arguments as JSON from each line of stdin; answers with exit code, output and errors.
One process is for one way of authenticating: the client keeps some of it from call to call.
"""

import contextlib
import io
import json
import logging
import sys

from openstackclient import shell


def run(arguments):
    """The exit code, the output and the errors of one command."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = shell.main(arguments)
        except SystemExit as end:
            code = end.code
    return code, out.getvalue(), err.getvalue()


def main():
    answers = sys.stdout
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
