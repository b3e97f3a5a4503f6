#!/bin/sh
# Run by the image of PostgreSQL when its volume is empty: the owner of the tables, and the login that
# serves, which may do nothing until the migrations have made the role that it is granted.
set -eu
psql --set=ON_ERROR_STOP=1 --set=owner="$PLAYHALL_OWNER_PASSWORD" --set=node="$PLAYHALL_NODE_PASSWORD" <<'SQL'
CREATE ROLE playhall_owner LOGIN CREATEROLE PASSWORD :'owner';
CREATE ROLE playhall_node LOGIN PASSWORD :'node';
CREATE DATABASE playhall OWNER playhall_owner;
SQL
