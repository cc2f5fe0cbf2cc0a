-- no-transaction
CREATE INDEX CONCURRENTLY outbox_line_turns ON outbox_line (tenant_id, priority, due_at);
