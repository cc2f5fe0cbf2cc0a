-- no-transaction
-- How many texts wait for a word after a restore, over all tenants.
CREATE INDEX CONCURRENTLY dead_letter_restored ON dead_letter (id) WHERE resolution IS NULL AND code = 'ccm:restored';
