SET LOCAL lock_timeout = '2s';
CREATE FUNCTION webhook_of_deflection() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF webhook_listens() THEN
    PERFORM webhook_event('deflection.' || NEW.state, NEW.tenant_id, NEW.conversation_id, NEW.customer_address, NEW.id,
                          jsonb_build_object('state', NEW.state));
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER webhook_new AFTER INSERT ON deflection FOR EACH ROW EXECUTE FUNCTION webhook_of_deflection();
CREATE TRIGGER webhook_changed AFTER UPDATE OF state ON deflection
  FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION webhook_of_deflection();
