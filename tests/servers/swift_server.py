"""OpenStack Swift on one port, in one process, for tests: the proxy server and the account, container and object servers
behind it, with one copy of everything below the folder given. Says where it listens, and serves until its input ends.

Tokens are Fernet tokens, so that no memcached is needed.
"""

import os
import sys
import warnings

warnings.simplefilter("ignore")

import eventlet  # noqa: E402

eventlet.monkey_patch()

FOLDER = os.path.abspath(sys.argv[1])
os.makedirs(FOLDER, exist_ok=True)

PROXY = """
[DEFAULT]
swift_dir = {folder}
log_level = CRITICAL
[pipeline:main]
pipeline = catch_errors gatekeeper listing_formats bulk s3api tempauth slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
node_timeout = 60
conn_timeout = 10
error_suppression_limit = 1000000
error_suppression_interval = 0
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
fernet_key_test = {key}
active_fernet_key_id = test
token_life = {life}
user_test_tester = testing .admin
user_test_reader = reading
user_other_other = othering .admin
[filter:slo]
use = egg:swift#slo
"""

BACKEND = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}
mount_check = false
fallocate_reserve = 0
disable_fallocate = true
log_level = CRITICAL
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""


def write(name, text):
    path = os.path.join(FOLDER, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def ring(kind, port):
    from swift.common.ring import RingBuilder

    builder = RingBuilder(1, 1, 0)
    builder.add_dev({
        "region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "disk", "weight": 1,
        "replication_ip": "127.0.0.1", "replication_port": port,
    })
    builder.rebalance()
    builder.get_ring().save(os.path.join(FOLDER, kind + ".ring.gz"))


def listen():
    return eventlet.listen(("127.0.0.1", 0))


def main():
    write("swift.conf", "[swift-hash]\nswift_hash_path_suffix = test\n[storage-policy:0]\nname = one\ndefault = yes\n")
    from swift.common import utils

    # Elsewhere it lies in /etc.
    utils.SWIFT_CONF_FILE = os.path.join(FOLDER, "swift.conf")
    utils.validate_hash_conf()
    from swift.common import storage_policy, wsgi
    from swift.common.http_protocol import SwiftHttpProtocol
    from cryptography.fernet import Fernet
    from eventlet import wsgi as server

    storage_policy.reload_storage_policies()
    os.makedirs(os.path.join(FOLDER, "disk"), exist_ok=True)
    settings = {"folder": FOLDER, "key": Fernet.generate_key().decode(), "life": int(os.environ.get("TOKEN_LIFE", 86400))}
    sockets = {kind: listen() for kind in ("account", "container", "object")}
    for kind, each in sockets.items():
        ring(kind, each.getsockname()[1])

    class Silent:
        def write(self, *_arguments):
            pass

        def flush(self):
            pass

    def serve(sock, conf):
        app = wsgi.loadapp(conf, allow_modify_pipeline=False)
        eventlet.spawn(server.server, sock, app, Silent(), protocol=SwiftHttpProtocol, debug=False)

    for kind, each in sockets.items():
        serve(each, write(kind + "-server.conf", BACKEND.format(kind=kind, **settings)))
    front = listen()
    serve(front, write("proxy-server.conf", PROXY.format(**settings)))
    print("Running on http://127.0.0.1:%d" % front.getsockname()[1], flush=True)
    # Its end is that of whoever started this.
    while True:
        eventlet.hubs.trampoline(0, read=True)
        if not os.read(0, 1):
            os._exit(0)


main()
