//! Instructions: how to use a restored snapshot.

use super::rdb_file::SNAPSHOT;

/// Shell commands and comments, a line each. `folder` is already quoted for the shell.
pub(super) fn steps(folder: &str) -> Vec<String> {
    let text = format!(
        "# Check the snapshot, which holds all databases and functions:
redis-check-rdb {folder}/{SNAPSHOT}
# Start a server on it to look at the data (Ctrl-C ends it; it writes nothing, and has room for any number of
# databases that the original had):
redis-server --dir {folder} --dbfilename {SNAPSHOT} --appendonly no --save '' --databases 16384 --port 6380
# To use it in this machine's server, stop that server first: when it stops, it writes its old data over
# the snapshot, and with \"appendonly yes\" it does not read the snapshot at all. In that case start it
# with \"appendonly no\", and then run redis-cli CONFIG SET appendonly yes. It needs as many databases in
# redis.conf (the key databases) as the original had.
systemctl stop redis-server
mv /var/lib/redis/{SNAPSHOT} /var/lib/redis/{SNAPSHOT}.old
install -o redis -g redis -m 660 {folder}/{SNAPSHOT} /var/lib/redis/{SNAPSHOT}
systemctl start redis-server"
    );
    text.lines().map(str::to_owned).collect()
}
