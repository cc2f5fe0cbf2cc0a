-- no-transaction
CREATE INDEX CONCURRENTLY conversation_bodies ON conversation (tenant_id, id) WHERE bodies_erased_at IS NULL AND state = 'closed';
