-- How an account may be used, and what happened to it.
SET LOCAL lock_timeout = '2s';
ALTER TABLE provider_account
  -- Segments a second over all of its numbers; NULL: only its numbers' rates count.
  ADD COLUMN per_second real CHECK (per_second > 0),
  ADD COLUMN next_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN signature_mode text NOT NULL DEFAULT 'enforce' CHECK (signature_mode IN ('enforce', 'report')),
  ADD COLUMN signature_mismatches bigint NOT NULL DEFAULT 0,
  ADD COLUMN signature_mismatch_at timestamptz,
  -- Scheme, host and port that its provider was told, where they are not the platform's.
  ADD COLUMN webhook_base text CHECK (length(webhook_base) BETWEEN 8 AND 300),
  -- The same words of the same phone within so many seconds are one text; 0: never.
  ADD COLUMN repeat_window_s integer NOT NULL DEFAULT 0 CHECK (repeat_window_s BETWEEN 0 AND 3600);

CREATE TABLE account_event (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  account_id uuid NOT NULL,
  kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 50),
  at timestamptz NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}',
  FOREIGN KEY (tenant_id, account_id) REFERENCES provider_account (tenant_id, id)
);
CREATE INDEX account_event_newest ON account_event (tenant_id, account_id, id DESC);
ALTER TABLE account_event ENABLE ROW LEVEL SECURITY;
ALTER TABLE account_event FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON account_event TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT ON account_event TO ccm_app;
