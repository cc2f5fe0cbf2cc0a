-- A number's move to a tenant says where it went; it must not keep that tenant from being deleted.
SET LOCAL lock_timeout = '2s';
ALTER TABLE number_move DROP CONSTRAINT number_move_to_tenant_id_fkey;
