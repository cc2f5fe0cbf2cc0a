-- Why a tenant is what it is, since when, and who said so.
SET LOCAL lock_timeout = '2s';
ALTER TABLE tenant
  ADD COLUMN state_reason text CHECK (length(state_reason) <= 500),
  ADD COLUMN state_since timestamptz,
  ADD COLUMN state_by text CHECK (length(state_by) <= 300);
