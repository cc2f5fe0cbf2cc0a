-- no-transaction
CREATE INDEX CONCURRENTLY account_event_of_tenant ON account_event (tenant_id, id DESC);
