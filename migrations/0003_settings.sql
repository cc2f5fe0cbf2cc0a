-- What a tenant is configured with. Composite keys keep every reference inside one tenant.
CREATE TABLE provider_account (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  kind text NOT NULL CHECK (kind IN ('twilio', 'http')),
  settings jsonb NOT NULL DEFAULT '{}',
  secret_sealed bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant_id, id),
  UNIQUE (tenant_id, name)
);

CREATE TABLE ewc_link (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  scheme text NOT NULL CHECK (scheme IN ('wss', 'ws')),
  host text NOT NULL CHECK (length(host) BETWEEN 1 AND 253),
  port integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
  path text NOT NULL DEFAULT '/CustomerControllerWeb/chat' CHECK (path LIKE '/%'),
  -- The tenant's private CA, PEM; NULL means the public ones. Certificates are checked either way.
  ca_pem text,
  swap_angle_brackets boolean NOT NULL DEFAULT true,
  connects_per_second real NOT NULL DEFAULT 10 CHECK (connects_per_second > 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant_id, id),
  UNIQUE (tenant_id, name)
);

CREATE TABLE skillset (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  link_id uuid NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant_id, id),
  UNIQUE (tenant_id, name),
  FOREIGN KEY (tenant_id, link_id) REFERENCES ewc_link (tenant_id, id)
);

CREATE TABLE number (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  account_id uuid NOT NULL,
  skillset_id uuid NOT NULL,
  address text NOT NULL CHECK (length(address) BETWEEN 3 AND 16),
  per_second real NOT NULL DEFAULT 1 CHECK (per_second > 0),
  -- When the next text may leave from here: an exact rate over all dispatch pods, without Redis.
  next_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant_id, id),
  -- A short code means something within an account only; a webhook names the account, so this finds the tenant.
  UNIQUE (account_id, address),
  FOREIGN KEY (tenant_id, account_id) REFERENCES provider_account (tenant_id, id),
  FOREIGN KEY (tenant_id, skillset_id) REFERENCES skillset (tenant_id, id)
);

CREATE TABLE auth_key (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  -- The first characters, for people to tell keys apart.
  prefix text NOT NULL,
  -- HMAC-SHA256 under a platform key: the key itself is stored nowhere.
  lookup_hash bytea NOT NULL UNIQUE CHECK (length(lookup_hash) = 32),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  UNIQUE (tenant_id, name)
);
