-- What happened to a provider account that was taken away can still be read.
SET LOCAL lock_timeout = '2s';
ALTER TABLE account_event DROP CONSTRAINT account_event_tenant_id_account_id_fkey;
