-- 0: chats' texts. 1: bulk, which waits for those.
SET LOCAL lock_timeout = '2s';
ALTER TABLE outbox_line ADD COLUMN priority smallint NOT NULL DEFAULT 0 CHECK (priority BETWEEN 0 AND 9);
GRANT SELECT (priority) ON outbox_line TO ccm_system;
