//! Two roles of PostgreSQL that take turns: the next one has what the other is a member of.

use super::Change;
use crate::timescale::connect::Connection;
use crate::timescale::{Connector, limits};
use aqueduct_engine::{Clock, Error};
use aqueduct_topology::model::TimescaleConnection;
use postgres_protocol::password::scram_sha_256;
use secrecy::{ExposeSecret, SecretString};

const EXISTS: &str = "SELECT count(*) FROM pg_catalog.pg_roles WHERE rolname = $1";
/// The server quotes what is given to it; what comes back is a statement.
const CREATE: &str = "SELECT pg_catalog.format('CREATE ROLE %I NOLOGIN', $1::text)";
const MEMBERSHIPS: &str = "\
    SELECT pg_catalog.format('GRANT %I TO %I', granted.rolname, $2::text) \
    FROM pg_catalog.pg_auth_members m \
    JOIN pg_catalog.pg_roles granted ON granted.oid = m.roleid \
    JOIN pg_catalog.pg_roles held ON held.oid = m.member \
    WHERE held.rolname = $1 AND granted.rolname <> $2::text";
const ADMIT: &str = "SELECT pg_catalog.format('ALTER ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)";
const EXPEL: &str = "SELECT pg_catalog.format('ALTER ROLE %I NOLOGIN PASSWORD NULL', $1::text)";
const END: &str = "\
    SELECT count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity \
    WHERE usename = $1 AND pid <> pg_catalog.pg_backend_pid()";

async fn admin(connection: &TimescaleConnection, clock: Clock) -> Result<Connection, Error> {
    Connector::new(connection, "rotate", "rotate", clock)?.connect().await
}

pub(super) async fn create(
    connection: &TimescaleConnection,
    Change { from, to, .. }: &Change,
    password: &SecretString,
    clock: Clock,
) -> Result<(), Error> {
    let admin = admin(connection, clock).await?;
    let there: i64 = admin.row("look for the next user", EXISTS, &[to]).await?.get(0);
    if there == 0 {
        let statement: String = admin.row("name the next user", CREATE, &[to]).await?.get(0);
        execute(&admin, "create the next user", &statement).await?;
    }
    for row in admin.rows("see what the user is a member of", MEMBERSHIPS, &[from, to]).await? {
        execute(&admin, "let the next user be what the other is", &row.get::<_, String>(0)).await?;
    }
    // What the server would make of it, so that no log of statements shows the password.
    let verifier = scram_sha_256(password.expose_secret().as_bytes());
    let statement: String = admin.row("name the next user", ADMIT, &[to, &verifier]).await?.get(0);
    execute(&admin, "let the next user log in", &statement).await
}

/// Makes `user` a member of that role of the migrations.
pub(super) async fn grant(
    connection: &TimescaleConnection,
    role: &str,
    user: &str,
    clock: Clock,
) -> Result<(), Error> {
    const GRANT: &str = "SELECT pg_catalog.format('GRANT %I TO %I', $1::text, $2::text)";
    let admin = admin(connection, clock).await?;
    let statement: String = admin.row("name role and user", GRANT, &[&role, &user]).await?.get(0);
    execute(&admin, "make a user a member of a role", &statement).await
}

pub(super) async fn revoke(
    connection: &TimescaleConnection,
    Change { from, .. }: &Change,
    clock: Clock,
) -> Result<String, Error> {
    let admin = admin(connection, clock).await?;
    let statement: String = admin.row("name the former user", EXPEL, &[from]).await?.get(0);
    execute(&admin, "let the former user log in no longer", &statement).await?;
    let ended: i64 = admin.row("end the former user's sessions", END, &[from]).await?.get(0);
    Ok(format!("{ended} sessions of `{from}` were left, and ended"))
}

async fn execute(admin: &Connection, doing: &str, statement: &str) -> Result<(), Error> {
    admin.within(doing, limits::STATEMENT_WAIT_MAX, admin.client().batch_execute(statement)).await
}
