-- What the current transaction takes away: conversations with all that belongs to them, or what is known of a customer's number. Rows that
-- services may not delete go from a conversation or of a number that is named here, and no others. The table is empty but for that moment.
CREATE TABLE removal (
  tenant_id uuid NOT NULL REFERENCES tenant (id),
  conversation_id uuid,
  customer_address text,
  CHECK (num_nonnulls(conversation_id, customer_address) = 1)
);
CREATE INDEX removal_of_tenant ON removal (tenant_id);
ALTER TABLE removal ENABLE ROW LEVEL SECURITY;
ALTER TABLE removal FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON removal TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, DELETE ON removal TO ccm_app;

-- Whoever forgets to ask is stopped here: nothing goes that is open or under a legal hold.
CREATE FUNCTION removal_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM conversation c WHERE c.tenant_id = NEW.tenant_id AND c.id = NEW.conversation_id AND c.state = 'open') THEN
    RAISE EXCEPTION 'an open conversation is not taken away' USING ERRCODE = 'restrict_violation';
  END IF;
  IF EXISTS (
    SELECT FROM legal_hold h
    WHERE h.tenant_id = NEW.tenant_id AND h.released_at IS NULL
      AND (h.scope = 'tenant' OR h.conversation_id = NEW.conversation_id OR h.customer_address = NEW.customer_address
           OR h.customer_address = (SELECT c.customer_address FROM conversation c
                                    WHERE c.tenant_id = NEW.tenant_id AND c.id = NEW.conversation_id)
           OR NEW.customer_address = (SELECT c.customer_address FROM conversation c
                                      WHERE c.tenant_id = NEW.tenant_id AND c.id = h.conversation_id)))
  THEN
    RAISE EXCEPTION 'what is under a legal hold is not taken away' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER allowed BEFORE INSERT ON removal FOR EACH ROW EXECUTE FUNCTION removal_is_allowed();

CREATE FUNCTION app_removed_conversations() RETURNS uuid[]
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN (SELECT array_agg(conversation_id) FROM removal
          WHERE tenant_id = ANY ((SELECT app_tenants())::uuid[]) AND conversation_id IS NOT NULL);
CREATE FUNCTION app_removed_addresses() RETURNS text[]
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN (SELECT array_agg(customer_address) FROM removal
          WHERE tenant_id = ANY ((SELECT app_tenants())::uuid[]) AND customer_address IS NOT NULL);

-- Lets rows be deleted from a table in which nobody else may delete: of tenants that are being purged, of conversations and of numbers that
-- are being taken away, and no others. To be called for each new table of a tenant, and again when it gets a column by which rows go.
CREATE OR REPLACE FUNCTION purge_table(purged regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  guarded boolean := EXISTS (SELECT FROM pg_policy WHERE polrelid = purged AND polname = 'purge_only');
  allowed text := format('%I = ANY ((SELECT app_purged_tenants())::uuid[])',
                         CASE WHEN purged = 'tenant'::regclass THEN 'id' ELSE 'tenant_id' END);
  columns text[] := ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = purged AND attnum > 0 AND NOT attisdropped);
  of_conversation text := CASE WHEN purged = 'conversation'::regclass THEN 'id' ELSE 'conversation_id' END;
BEGIN
  IF NOT guarded AND has_table_privilege('ccm_app', purged, 'DELETE') THEN
    RETURN;
  END IF;
  IF of_conversation = ANY (columns) THEN
    allowed := allowed || format(' OR %I = ANY ((SELECT app_removed_conversations())::uuid[])', of_conversation);
  END IF;
  IF 'customer_address' = ANY (columns) THEN
    allowed := allowed || ' OR customer_address = ANY ((SELECT app_removed_addresses())::text[])';
  END IF;
  IF guarded THEN
    EXECUTE format('ALTER POLICY purge_only ON %s USING (%s)', purged, allowed);
  ELSE
    EXECUTE format('CREATE POLICY purge_only ON %s AS RESTRICTIVE FOR DELETE TO ccm_app USING (%s)', purged, allowed);
    EXECUTE format('GRANT DELETE ON %s TO ccm_app', purged);
  END IF;
END $$;
