-- Since when a tenant is being deleted: its numbers and keys are unknown from then on.
SET LOCAL lock_timeout = '2s';
ALTER TABLE tenant ADD COLUMN closing_since timestamptz;
