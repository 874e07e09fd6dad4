#!/usr/bin/env python3
"""Serves Keystone on a port of this machine, in the environment that Keystone is installed in.

Usage: OS_KEYSTONE_CONFIG_FILES=keystone.conf keystone_service.py PORT
"""

import socketserver
import sys
from wsgiref import simple_server

PORT = int(sys.argv.pop())

# Keystone reads the command line and its configuration when it is imported.
from keystone.wsgi.api import application  # pylint: disable=wrong-import-position


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    """Answers each connection in a thread of its own."""

    daemon_threads = True


simple_server.make_server("127.0.0.1", PORT, application, Server).serve_forever()
