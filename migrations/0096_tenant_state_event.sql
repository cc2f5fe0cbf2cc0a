-- Whoever changes a tenant's state: it is an event.
SET LOCAL lock_timeout = '2s';
CREATE FUNCTION tenant_state_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  moment timestamptz := clock_timestamp();
BEGIN
  INSERT INTO tenant_event (id, tenant_id, kind, at, detail)
  VALUES (uuid_v7(moment), NEW.id, 'state_changed', moment,
          jsonb_build_object('from', OLD.state, 'to', NEW.state, 'reason', NEW.state_reason, 'by', NEW.state_by));
  RETURN NULL;
END $$;
CREATE TRIGGER state_event AFTER UPDATE OF state ON tenant
  FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION tenant_state_event();
