-- How a link is reached beyond host and port. Everything is optional; pods of before dial host and port as they did.
SET LOCAL lock_timeout = '2s';
ALTER TABLE ewc_link
  -- SNI, and the name that the certificate must carry. NULL: the host that is dialled.
  ADD COLUMN server_name text CHECK (length(server_name) BETWEEN 1 AND 253),
  -- Dialled in this order instead of looking the host up.
  ADD COLUMN addresses text[] NOT NULL DEFAULT '{}' CHECK (cardinality(addresses) <= 16),
  -- The other half of a high-availability pair.
  ADD COLUMN secondary_host text CHECK (length(secondary_host) BETWEEN 1 AND 253),
  ADD COLUMN secondary_port integer CHECK (secondary_port BETWEEN 1 AND 65535),
  -- For a peer that asks for a client certificate: the chain in PEM, and its key.
  ADD COLUMN client_cert_pem text,
  ADD COLUMN client_key_sealed bytea,
  -- An HTTP proxy that is asked to CONNECT; "user:password".
  ADD COLUMN proxy_host text CHECK (length(proxy_host) BETWEEN 1 AND 253),
  ADD COLUMN proxy_port integer CHECK (proxy_port BETWEEN 1 AND 65535),
  ADD COLUMN proxy_auth_sealed bytea,
  ADD CHECK ((secondary_host IS NULL) = (secondary_port IS NULL)),
  ADD CHECK ((client_cert_pem IS NULL) = (client_key_sealed IS NULL)),
  ADD CHECK ((proxy_host IS NULL) = (proxy_port IS NULL)),
  ADD CHECK (proxy_auth_sealed IS NULL OR proxy_host IS NOT NULL);
