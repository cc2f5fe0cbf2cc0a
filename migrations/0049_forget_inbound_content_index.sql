-- no-transaction
CREATE INDEX CONCURRENTLY inbound_content_by_age ON inbound_content USING brin (seen_at) WITH (autosummarize = on);
