-- Run once, by psql, when the database is made: a user for the exporter that sees statistics and no
-- coupon codes.
\getenv exporter_password POSTGRES_EXPORTER_PASSWORD
CREATE ROLE exporter LOGIN CONNECTION LIMIT 5 PASSWORD :'exporter_password';
GRANT pg_monitor TO exporter;
