-- More providers. The old version knows none of the new kinds and never writes one; the names are those of ProviderKind.
SET LOCAL lock_timeout = '2s';
ALTER TABLE provider_account DROP CONSTRAINT provider_account_kind_check;
ALTER TABLE provider_account ADD CONSTRAINT provider_account_kind_check
  CHECK (kind IN ('twilio', 'http', 'custom', 'vonage', 'telnyx', 'bandwidth', 'plivo', 'infobip')) NOT VALID;
