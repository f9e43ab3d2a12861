//! The only SQL. One file per noun, one schema for SQLite and PostgreSQL.
