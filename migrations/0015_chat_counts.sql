-- no-transaction
CREATE INDEX CONCURRENTLY chat_counts ON chat (tenant_id, counts_until) WHERE counts_until IS NOT NULL;
