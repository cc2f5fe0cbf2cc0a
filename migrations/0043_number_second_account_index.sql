-- no-transaction
CREATE INDEX CONCURRENTLY number_second_account_address ON number (second_account_id, address) WHERE second_account_id IS NOT NULL;
