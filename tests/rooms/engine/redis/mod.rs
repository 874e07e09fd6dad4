//! The engine `redis`, on real servers.

mod answers;
mod drill;
mod dump;
#[path = "../../../servers/redis.rs"]
mod server;

use coffer::domain::Source;
use coffer::engine::{Engine, find};
use serde_json::json;

use self::server::RedisServer;

fn engine() -> &'static dyn Engine {
    find("redis").unwrap()
}

fn of(server: &RedisServer) -> Source {
    serde_json::from_value(json!({"socket": server.socket()})).unwrap()
}
