-- The account of the last attempt: what one provider recognises, another does not.
SET LOCAL lock_timeout = '2s';
ALTER TABLE outbox ADD COLUMN account_id uuid;
