//! The role of exports, taken on and held against what it should be: it reads the table, and cannot change it.

use super::ROLE;
use crate::timescale::{Connection, TableName};
use aqueduct_engine::{Class, Error};
use tokio_postgres::types::ToSql;

const TAKE: &str = "SET ROLE aqueduct_export";

const IS_MEMBER: &str = "\
    SELECT r.oid IS NOT NULL, COALESCE(pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER'), false), \
           COALESCE(r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolbypassrls, false), session_user::text \
    FROM (SELECT 1) AS one LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = $1";

const MAY: &str = "\
    SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT'), \
           pg_catalog.has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') \
           OR pg_catalog.has_any_column_privilege(c.oid, 'INSERT, UPDATE') \
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = $1";

/// From here on the session has the role's rights, and no others.
pub async fn take(connection: &Connection) -> Result<(), Error> {
    let params: [&(dyn ToSql + Sync); 1] = [&ROLE];
    let row = connection.row("look for the role of exports", IS_MEMBER, &params).await?;
    let (exists, member, mighty, user): (bool, bool, bool, String) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    if !exists {
        return refused(format!(
            "role {ROLE} does not exist: apply the migrations (`aqueduct migrate up FILE`), or have somebody who may \
             run CREATE ROLE {ROLE} NOLOGIN, then SELECT aqueduct.grant_export()"
        ));
    }
    if mighty {
        return refused(format!(
            "role {ROLE} is a superuser, or may create roles or databases: exports read with a role that cannot; \
             ALTER ROLE {ROLE} NOSUPERUSER NOCREATEROLE NOCREATEDB NOBYPASSRLS"
        ));
    }
    if !member {
        return refused(format!(
            "user {user} is no member of {ROLE}: GRANT {ROLE} TO {user}, or name another user in AQUEDUCT_EXPORT_URL"
        ));
    }
    connection.hits("take the role of exports", TAKE, &[]).await.map(drop)
}

/// Whether the role may read the table and may not change it.
pub async fn check(connection: &Connection, table: &TableName, oid: u32) -> Result<(), Error> {
    let params: [&(dyn ToSql + Sync); 1] = [&oid];
    let row = connection.row("look what the role of exports may do", MAY, &params).await?;
    let (reads, writes): (bool, bool) = (row.get(0), row.get(1));
    if !reads {
        return refused(format!(
            "role {ROLE} may not read {}; its owner decides that it may leave the database: GRANT USAGE ON SCHEMA {} \
             TO {ROLE}; GRANT SELECT ON {table} TO {ROLE}",
            table.plain(),
            table.schema
        ));
    }
    if writes {
        return refused(format!(
            "role {ROLE} may change {}, and exports read with a role that cannot: REVOKE INSERT, UPDATE, DELETE, \
             TRUNCATE ON {table} FROM {ROLE}, and look which roles it is a member of",
            table.plain()
        ));
    }
    Ok(())
}

fn refused<T>(message: String) -> Result<T, Error> {
    Err(Error::new(Class::Config, message))
}
