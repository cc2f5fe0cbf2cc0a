-- A link can be taken away; the chats that went over it stay, with its id.
SET LOCAL lock_timeout = '2s';
ALTER TABLE chat DROP CONSTRAINT chat_tenant_id_link_id_fkey;
