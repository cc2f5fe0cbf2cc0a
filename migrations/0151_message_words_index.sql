-- Of the table as a whole, without its months: new months have it from now on. `ccm migrate` makes it for those that there are, one by
-- one and without stopping texts (libs/db/src/migrate.rs).
SET LOCAL lock_timeout = '2s';
CREATE INDEX message_words ON ONLY message USING gin (message_words(tenant_id, body));
