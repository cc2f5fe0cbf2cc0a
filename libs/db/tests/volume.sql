-- A year's platform in small: 50 tenants (the first has a fifth of everything), 20,000 conversations, 200,000 texts over
-- the partitions that are there, 4,000 texts each way under way. Run by the superuser, who makes rows of all tenants.
SET session_replication_role = replica; -- no foreign keys are checked: the rows below refer to each other properly

-- In a month that has just begun there is so little that reading all of it is best, and nothing is seen of how a month is read: it is one with the
-- month before.
DO $$
DECLARE
  month timestamptz := date_trunc('month', now());
  before timestamptz := month - interval '1 month';
BEGIN
  IF now() < month + interval '8 days' THEN
    EXECUTE format('DROP TABLE message_%s, message_%s', to_char(before, 'YYYYMM'), to_char(month, 'YYYYMM'));
    EXECUTE format('CREATE TABLE message_%s PARTITION OF message FOR VALUES FROM (%L) TO (%L)',
                   to_char(month, 'YYYYMM'), uuid_v7_floor(before), uuid_v7_floor(month + interval '1 month'));
  END IF;
END $$;

CREATE FUNCTION pg_temp.id(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
  $$ SELECT overlay(md5(kind || n)::uuid::text PLACING '7' FROM 15)::uuid $$;
-- A UUIDv7 of a moment.
CREATE FUNCTION pg_temp.id_at(kind text, n bigint, at timestamptz) RETURNS uuid LANGUAGE sql AS
  $$ SELECT (left(uuid_v7_floor(at)::text, 14) || '7' || substr(md5(kind || n), 2, 3) || '-8'
             || substr(md5(kind || n), 6, 3) || '-' || substr(md5(kind || n), 10, 12))::uuid $$;

INSERT INTO tenant (id, slug, name) SELECT pg_temp.id('tenant', t), 'v' || t, 'Tenant ' || t FROM generate_series(1, 50) t;
INSERT INTO provider_account (id, tenant_id, name, kind, secret_sealed)
SELECT pg_temp.id('account', t), pg_temp.id('tenant', t), 'account', 'http', '' FROM generate_series(1, 50) t;
INSERT INTO ewc_link (id, tenant_id, name, scheme, host, port)
SELECT pg_temp.id('link', t), pg_temp.id('tenant', t), 'aacc', 'wss', 'aacc.example', 443 FROM generate_series(1, 50) t;
INSERT INTO skillset (id, tenant_id, link_id, name)
SELECT pg_temp.id('skillset', t), pg_temp.id('tenant', t), pg_temp.id('link', t), 'skillset' FROM generate_series(1, 50) t;
INSERT INTO number (id, tenant_id, account_id, skillset_id, address, per_second)
SELECT pg_temp.id('number', t * 100 + n), pg_temp.id('tenant', t), pg_temp.id('account', t), pg_temp.id('skillset', t),
       '+1415' || lpad((t * 100 + n)::text, 7, '0'), 10
FROM generate_series(1, 50) t, generate_series(1, 40) n;
INSERT INTO lease (tenant_id) SELECT id FROM tenant;

CREATE TEMP TABLE volume AS
SELECT *, wanted AND row_number() OVER (PARTITION BY tenant_id, ours, customer, wanted ORDER BY c) = 1 AS open
FROM (
  SELECT c, pg_temp.id('tenant', t) AS tenant_id, pg_temp.id('link', t) AS link_id,
         pg_temp.id('number', t * 100 + 1 + c % 40) AS number_id,
         pg_temp.id_at('conversation', c, at) AS conversation_id, pg_temp.id_at('chat', c, at) AS chat_id, at,
         '+1415' || lpad((t * 100 + 1 + c % 40)::text, 7, '0') AS ours,
         -- Some customers come back again and again.
         '+1212' || lpad((c % 7919)::text, 7, '0') AS customer, c / 50 % 5 = 0 AS wanted
  FROM (SELECT c, CASE WHEN c % 5 = 0 THEN 1 ELSE 2 + c % 49 END AS t,
               now() - make_interval(secs => 2500000 - c * 125 + 2000) AS at
        FROM generate_series(1, 20000) c) AS numbered
) AS conversations;

INSERT INTO conversation (id, tenant_id, number_id, our_address, customer_address, state, next_seq, opened_at,
                          last_activity_at, closed_at)
SELECT conversation_id, tenant_id, number_id, ours, customer, CASE WHEN open THEN 'open' ELSE 'closed' END, 11, at, at,
       CASE WHEN open THEN NULL ELSE at END
FROM volume;
INSERT INTO chat (id, tenant_id, conversation_id, link_id, state, guid, key_sealed, epoch, opened_at, closed_at)
SELECT chat_id, tenant_id, conversation_id, link_id, CASE WHEN open THEN 'live' ELSE 'closed' END, '1', '', 1, at,
       CASE WHEN open THEN NULL ELSE at END
FROM volume;

CREATE TEMP TABLE texts AS
SELECT v.*, seq, pg_temp.id_at('message', c * 100 + seq, at + make_interval(secs => seq)) AS message_id
FROM volume v, generate_series(1, 10) seq;
INSERT INTO message (id, tenant_id, conversation_id, chat_id, seq, direction, origin, body, state, heard, created_at,
                     updated_at)
SELECT message_id, tenant_id, conversation_id, chat_id, seq, CASE WHEN seq % 2 = 1 THEN 'mo' ELSE 'mt' END,
       CASE WHEN seq % 2 = 1 THEN 'customer' ELSE 'agent' END, repeat('x', 20 + (c % 100)::int), 'delivered',
       CASE WHEN seq % 2 = 0 THEN decode(md5(seq::text) || md5(seq::text), 'hex') END, at, at
FROM texts;
INSERT INTO inbound_dedup (account_id, provider_message_id, tenant_id, message_id, seen_at)
SELECT tenant_id, 'SM' || message_id, tenant_id, message_id, at FROM texts WHERE seq % 2 = 1 AND c % 4 = 0;
INSERT INTO inbox (message_id, tenant_id, conversation_id, seq)
SELECT message_id, tenant_id, conversation_id, seq FROM texts WHERE open AND seq = 9;
INSERT INTO outbox (message_id, tenant_id, conversation_id, seq, created_at)
SELECT message_id, tenant_id, conversation_id, seq, at FROM texts WHERE open AND seq = 10;
INSERT INTO outbox_line (conversation_id, tenant_id, due_at)
SELECT conversation_id, tenant_id, CASE WHEN c % 10 = 1 THEN at ELSE now() + make_interval(secs => c) END
FROM volume WHERE open;

INSERT INTO provider_message (account_id, provider_message_id, tenant_id, message_id, conversation_id, created_at)
SELECT pg_temp.id('account', 1), 'SM' || message_id, tenant_id, message_id, conversation_id, at FROM texts WHERE seq % 2 = 0;
INSERT INTO opt_out (tenant_id, our_address, customer_address, source, since)
SELECT tenant_id, ours, customer, 'keyword', at FROM volume WHERE NOT wanted ON CONFLICT DO NOTHING;

INSERT INTO timer (id, tenant_id, conversation_id, kind, due_at)
SELECT pg_temp.id('timer', c), tenant_id, conversation_id, 'answer', at + interval '1 day' FROM volume WHERE open;
INSERT INTO deflection (id, tenant_id, state, our_address, customer_address, skillset, voice_skillset, language, contact_id, waited_s,
                        conversation_id, message_id, asked_at, expires_at, due_at)
SELECT pg_temp.id_at('deflection', c, at), tenant_id, CASE WHEN open THEN 'sent' ELSE 'expired' END, ours, customer, 'WC_Default_Skillset',
       'Voice', 'en', 'call-' || c, 60, conversation_id, pg_temp.id_at('message', c * 100 + 10, at + make_interval(secs => 10)), at,
       at + interval '10 minutes', CASE WHEN open THEN at END
FROM volume;

-- A tenant's webhook goes by the tenant's own id.
INSERT INTO webhook (id, tenant_id, name, url, events, include_numbers, include_bodies, state_since, secret_sealed)
SELECT DISTINCT tenant_id, tenant_id, 'CRM', 'https://hooks.example.com/', ARRAY['link.down'], false, false, now(), ''::bytea FROM volume;
INSERT INTO webhook_delivery (id, tenant_id, webhook_id, type, at, conversation_id, state, next_at)
SELECT pg_temp.id_at('delivery', c, at), tenant_id, tenant_id, 'conversation.opened', at, conversation_id,
       CASE WHEN open THEN 'pending' ELSE 'delivered' END, CASE WHEN open THEN at END
FROM volume;

DROP TABLE texts, volume;
RESET session_replication_role;
-- As autovacuum does: what was never written to is never looked at.
DO $$
DECLARE
  t regclass;
BEGIN
  FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0
  LOOP
    EXECUTE 'ANALYZE ' || t;
  END LOOP;
END $$;
