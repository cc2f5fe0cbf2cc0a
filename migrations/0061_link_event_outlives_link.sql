-- What happened to a link that was taken away can still be read.
SET LOCAL lock_timeout = '2s';
ALTER TABLE link_event DROP CONSTRAINT link_event_tenant_id_link_id_fkey;
