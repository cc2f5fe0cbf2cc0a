SET LOCAL lock_timeout = '2s';
CREATE FUNCTION webhook_of_tenant_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF webhook_listens() THEN
    PERFORM webhook_event('tenant.' || NEW.kind, NEW.tenant_id, NULL, NULL, NULL,
      jsonb_build_object('id', NEW.id, 'kind', NEW.kind, 'link_id', NULL, 'account_id', NULL, 'muted', false, 'detail', NEW.detail));
  END IF;
  RETURN NULL;
END $$;
-- Deflections are told by themselves (0198).
CREATE TRIGGER webhook_new AFTER INSERT ON tenant_event
  FOR EACH ROW WHEN (NEW.kind NOT LIKE 'deflection\_%') EXECUTE FUNCTION webhook_of_tenant_event();
