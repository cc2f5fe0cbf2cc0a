-- no-transaction
CREATE INDEX CONCURRENTLY link_event_of_tenant ON link_event (tenant_id, id DESC);
