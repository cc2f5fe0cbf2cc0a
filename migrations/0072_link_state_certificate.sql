-- The server's certificate as the link's owner saw it last. Pods of before leave it as it is.
SET LOCAL lock_timeout = '2s';
ALTER TABLE link_state ADD COLUMN certificate jsonb;
