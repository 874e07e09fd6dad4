//! How much an incremental keeps, of a database that is large beside the WAL of a quiet moment.

use super::fixture::{NAME, coffer_for, start_restored};
use super::postgres::Postgres;
use crate::support::size_of;

#[test]
fn an_incremental_stores_little_more_than_the_changes() {
    let server = Postgres::new();
    // More than 100 MiB that do not compress away.
    server.sql(
        "postgres",
        "CREATE TABLE item(id int PRIMARY KEY, price int, a text, b text);
         INSERT INTO item SELECT n, n % 1000, md5(n::text) || md5((-n)::text), md5((n * 7)::text)
            || md5((n * 11)::text) || md5((n * 13)::text) FROM generate_series(1, 560000) n;
         VACUUM (FREEZE, ANALYZE) item; CHECKPOINT;",
    );
    let bytes: u64 =
        server.sql("postgres", "SELECT pg_relation_size('item')").trim().parse().unwrap();
    assert!(bytes > 100 << 20, "{bytes}");
    let coffer = coffer_for(&server, "").start();
    let (client, idle) = (coffer.admin(), coffer.peak_rss_bytes());
    let full = client.full(NAME);
    let unchanged = client.incremental(NAME);
    server.sql("postgres", "UPDATE item SET price = price + 1 WHERE id % 100 = 7; CHECKPOINT;");
    let changed = client.incremental(NAME);
    let share = |row| size_of(row) * 1000 / size_of(&full);
    println!(
        "full {}, unchanged {}, 1 % changed {}",
        size_of(&full),
        size_of(&unchanged),
        size_of(&changed)
    );
    assert!(share(&unchanged) < 10, "unchanged: {} ‰ of the full", share(&unchanged));
    assert!(share(&changed) < 50, "1 % changed: {} ‰ of the full", share(&changed));
    coffer.assert_little_memory_since(idle);

    let restored = start_restored(&coffer, &changed);
    let sums = "SELECT count(*), sum(price), md5(string_agg(a, '' ORDER BY id)) FROM item";
    assert_eq!(restored.sql("postgres", sums), server.sql("postgres", sums));
}
