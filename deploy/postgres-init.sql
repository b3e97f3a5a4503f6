-- Run by the image of PostgreSQL when its volume is empty: the owner of the tables, and the login that
-- serves, which may do nothing until the migrations have made the role that it is granted.
CREATE ROLE playhall_owner LOGIN CREATEROLE PASSWORD 'development';
CREATE ROLE playhall_node LOGIN PASSWORD 'development';
CREATE DATABASE playhall OWNER playhall_owner;
