-- A number that a tenant has no more. Its conversations stay, and its row for them; no account and no skillset is kept by it,
-- so that no text finds it and both can be taken away. Pods of before cannot list a tenant's numbers while one of them is
-- released: release none before all pods are new.
SET LOCAL lock_timeout = '2s';
ALTER TABLE number
  ADD COLUMN released_at timestamptz,
  ALTER COLUMN account_id DROP NOT NULL,
  ALTER COLUMN skillset_id DROP NOT NULL,
  ADD CONSTRAINT number_released
    CHECK ((released_at IS NULL) = (account_id IS NOT NULL) AND (released_at IS NULL) = (skillset_id IS NOT NULL)
           AND (released_at IS NULL OR second_account_id IS NULL)) NOT VALID;
