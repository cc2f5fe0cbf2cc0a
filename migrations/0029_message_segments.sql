-- How many SMS a text took, as sent or as the provider said.
SET LOCAL lock_timeout = '2s';
ALTER TABLE message ADD COLUMN segments smallint;
