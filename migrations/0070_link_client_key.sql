-- A link's next client key, made here, beside the one in use: it waits for the certificate that the tenant's authority signs.
CREATE TABLE link_client_key (
  link_id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  key_sealed bytea NOT NULL,
  -- The request that was given out, so that it can be given out again.
  csr_pem text NOT NULL CHECK (length(csr_pem) BETWEEN 1 AND 10000),
  created_at timestamptz NOT NULL,
  FOREIGN KEY (tenant_id, link_id) REFERENCES ewc_link (tenant_id, id) ON DELETE CASCADE
);
ALTER TABLE link_client_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE link_client_key FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON link_client_key TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, DELETE ON link_client_key TO ccm_app;
