SET LOCAL lock_timeout = '2s';
CREATE FUNCTION webhook_of_chat() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  none text;
BEGIN
  IF current_setting('app.webhooks', true) = 'none' THEN
    RETURN NULL;
  ELSIF NOT EXISTS (SELECT FROM webhook) THEN
    none := set_config('app.webhooks', 'none', true);
  ELSE
    PERFORM webhook_event('conversation.agent_joined', NEW.tenant_id, NEW.conversation_id, NULL, NULL,
                          jsonb_build_object('state', 'open', 'chat_id', NEW.id));
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER webhook_changed AFTER UPDATE OF state ON chat
  FOR EACH ROW WHEN (OLD.state <> 'live' AND NEW.state = 'live') EXECUTE FUNCTION webhook_of_chat();
