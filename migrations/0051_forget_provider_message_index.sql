-- no-transaction
CREATE INDEX CONCURRENTLY provider_message_by_age ON provider_message USING brin (created_at) WITH (autosummarize = on);
