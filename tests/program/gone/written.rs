//! A catalog that another program wrote to.

use crate::support::{Builder, id_of};

use super::{Fixture, run_sql};

#[test]
fn rows_that_another_program_removes_under_a_running_server_are_noticed_and_work_goes_on() {
    const WRITTEN: &str = "another program wrote to the catalog";
    let mut fixture = Fixture::with(|builder| Builder::allow_warning(builder, WRITTEN));
    let client = fixture.client();
    let first = client.full("shop");
    // A command of Coffer beside the server is no other program.
    fixture.server.run_ok(&["user", "list"]);
    assert_eq!(fixture.notices(), "[]");
    run_sql(&fixture.path("catalog.db"), "UPDATE backups SET description = 'x'");
    fixture.wait_for_notice(WRITTEN);
    assert_eq!(client.backup(id_of(&first))["description"], "x");
    fixture.change();
    client.incremental("shop");
    fixture.server.restart();
    assert_eq!(fixture.notices(), "[]");
}
