#!/bin/sh
# On the first start of the database: the roles that migrations grant to, and the node's user, who may write and no more.
set -eu
psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set ON_ERROR_STOP=1 --set password="$AQUEDUCT_PASSWORD" <<'SQL'
CREATE ROLE aqueduct_writer NOLOGIN;
CREATE ROLE aqueduct_reader NOLOGIN;
CREATE ROLE aqueduct LOGIN PASSWORD :'password' IN ROLE aqueduct_writer;
SQL
