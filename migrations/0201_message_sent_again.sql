-- The text that an agent sent in place of this one, which did not arrive.
SET LOCAL lock_timeout = '2s';
ALTER TABLE message ADD COLUMN sent_again_as uuid;
