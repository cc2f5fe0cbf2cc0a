-- no-transaction
CREATE INDEX CONCURRENTLY screenpop_session_customer ON screenpop_session (tenant_id, customer_address) WHERE customer_address IS NOT NULL;
