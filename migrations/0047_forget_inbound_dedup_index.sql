-- no-transaction
CREATE INDEX CONCURRENTLY inbound_dedup_by_age ON inbound_dedup USING brin (seen_at) WITH (autosummarize = on);
