ALTER TABLE auth_key VALIDATE CONSTRAINT auth_key_uses;
