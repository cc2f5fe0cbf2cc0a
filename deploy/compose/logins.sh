#!/bin/sh
# Run by Postgres' image when its volume is empty. The roles are those of docs/operations.md; `ccm migrate` makes the tables.
set -eu
cd "${CCM_SECRETS:-/run/secrets}"
psql -v ON_ERROR_STOP=1 -U postgres -d postgres \
  -v owner="$(cat owner_password)" -v app="$(cat app_password)" -v system="$(cat system_password)" <<'SQL'
CREATE ROLE ccm_app NOLOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT;
CREATE ROLE ccm_system NOLOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT;
CREATE ROLE ccm_owner LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'owner';
CREATE ROLE ccm_app_login LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'app' IN ROLE ccm_app;
CREATE ROLE ccm_system_login LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'system' IN ROLE ccm_system;
CREATE DATABASE ccm OWNER ccm_owner;
SQL
