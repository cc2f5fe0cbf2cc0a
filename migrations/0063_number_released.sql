-- A number that a tenant has no more: no text to it is taken. Its conversations stay, and its row for them. What is still under way
-- leaves through its account; then neither account nor skillset is kept, so that both can be taken away. Pods of before cannot list
-- a tenant's numbers while one of them is without: release none before all pods are new.
SET LOCAL lock_timeout = '2s';
ALTER TABLE number
  ADD COLUMN released_at timestamptz,
  ALTER COLUMN account_id DROP NOT NULL,
  ALTER COLUMN skillset_id DROP NOT NULL,
  ADD CONSTRAINT number_released
    CHECK (released_at IS NOT NULL OR (account_id IS NOT NULL AND skillset_id IS NOT NULL)) NOT VALID;
GRANT SELECT (released_at) ON number TO ccm_system;
