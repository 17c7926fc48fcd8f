-- Run once, by psql, when the database is made: a user for the exporter that sees statistics and no
-- coupon codes.
\set exporter_password `cat /secrets/exporter/password`
CREATE ROLE exporter LOGIN CONNECTION LIMIT 5 PASSWORD :'exporter_password';
GRANT pg_monitor TO exporter;
