-- Whether the person's conversations are closed for it: else it waits until they have ended.
SET LOCAL lock_timeout = '2s';
ALTER TABLE erasure ADD COLUMN closes boolean NOT NULL DEFAULT false;
