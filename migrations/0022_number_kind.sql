SET LOCAL lock_timeout = '2s';
ALTER TABLE number
  ADD COLUMN kind text NOT NULL DEFAULT 'long_code' CHECK (kind IN ('long_code', 'toll_free', 'short_code')),
  -- Sends in place of the first while that one fails.
  ADD COLUMN second_account_id uuid,
  ADD CONSTRAINT number_second_account FOREIGN KEY (tenant_id, second_account_id)
    REFERENCES provider_account (tenant_id, id) NOT VALID;
