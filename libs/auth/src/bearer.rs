use crate::{Permission, Role};
use ccm_model::{ApiKeyId, SessionId, TenantId, UserId};
use time::OffsetDateTime;

/// Who asks, however they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// Whom the token names, or the key's name; written to audit trails.
    pub sub: String,
    /// What they are.
    pub role: Role,
    /// Of which tenant, for a tenant's role; never for the others.
    pub tenant: Option<TenantId>,
    /// Which of the role's permissions they have; `None`: all.
    pub scopes: Option<Vec<Permission>>,
    /// How they are known.
    pub via: Via,
    /// From when on their token or key is refused; `None`: it does not say.
    pub until: Option<OffsetDateTime>,
    /// In which they have signed in, by whatever [`Bearer::via`] says; `None`: they have shown that itself.
    pub session: Option<SessionId>,
}

/// How somebody is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// By a token that was issued here.
    Token,
    /// By a token of an OIDC issuer, as this user.
    Oidc(UserId),
    /// By an API key.
    ApiKey(ApiKeyId),
}

impl Via {
    /// For audit trails.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Oidc(_) => "oidc",
            Self::ApiKey(_) => "api_key",
        }
    }
}

/// Why a request is refused although its bearer is known. The text says what it would take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The role does not bring the permission.
    #[error("the role {role} does not allow this; it takes {}", one_of(needed))]
    Role {
        /// The bearer's.
        role: Role,
        /// Those that would do.
        needed: Vec<Role>,
    },
    /// The bearer is of another tenant.
    #[error(
        "the token is of another tenant; it takes one of this tenant, or the role {}",
        one_of(needed)
    )]
    OtherTenant {
        /// Those that would do in any tenant.
        needed: Vec<Role>,
    },
    /// The key's role would do, but not all of the role is given to the key.
    #[error("the API key lacks the scope {0}")]
    Scope(Permission),
}

impl Denied {
    /// What it takes.
    pub fn remedy(&self) -> String {
        match self {
            Self::Role { needed, .. } | Self::OtherTenant { needed } => {
                format!("use a token with the role {}", one_of(needed))
            }
            Self::Scope(scope) => format!("use an API key that has the scope {scope}"),
        }
    }
}

fn one_of(roles: &[Role]) -> String {
    let names: Vec<_> = roles.iter().map(|r| r.as_str()).collect();
    names.join(" or ")
}

impl Bearer {
    /// Whether they may do this to the platform as a whole.
    pub fn permit(&self, permission: Permission) -> Result<(), Denied> {
        if !self.role.may(permission) || self.role.is_of_tenant() {
            return Err(Denied::Role {
                role: self.role,
                needed: roles_with(permission, |role| !role.is_of_tenant()),
            });
        }
        self.in_scope(permission)
    }

    /// Whether they may do this to one tenant.
    pub fn permit_on(&self, permission: Permission, tenant: TenantId) -> Result<(), Denied> {
        if !self.role.may(permission) {
            return Err(Denied::Role {
                role: self.role,
                needed: roles_with(permission, |_| true),
            });
        }
        if self.role.is_of_tenant() && self.tenant != Some(tenant) {
            return Err(Denied::OtherTenant {
                needed: roles_with(permission, |role| !role.is_of_tenant()),
            });
        }
        self.in_scope(permission)
    }

    fn in_scope(&self, permission: Permission) -> Result<(), Denied> {
        match self.holds(permission) {
            true => Ok(()),
            false => Err(Denied::Scope(permission)),
        }
    }

    /// Whether they have the permission, somewhere.
    pub fn holds(&self, permission: Permission) -> bool {
        let scoped = self.scopes.as_ref();
        self.role.may(permission) && scoped.is_none_or(|scopes| scopes.contains(&permission))
    }

    /// The first permission that a role with these scopes would have and they themselves have not: nobody gives away more than
    /// they have.
    pub fn lacks(&self, role: Role, scopes: Option<&[Permission]>) -> Option<Permission> {
        let given = |p: &Permission| {
            role.may(*p) && scopes.is_none_or(|scopes| scopes.contains(p)) && !self.holds(*p)
        };
        Permission::ALL.iter().copied().find(given)
    }

    /// What tells them from all others, for counting what they ask, and from what they were before their role changed.
    pub fn id(&self) -> String {
        match self.via {
            Via::ApiKey(id) => format!("key {id}"),
            Via::Oidc(id) => format!("user {id} {}", self.role),
            Via::Token => format!("token {} {:?} {}", self.role, self.tenant, self.sub),
        }
    }
}

fn roles_with(permission: Permission, also: impl Fn(Role) -> bool) -> Vec<Role> {
    let all = Role::ALL.iter().copied();
    all.filter(|role| role.may(permission) && also(*role)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_model::Id;

    fn bearer(role: Role, tenant: Option<TenantId>) -> Bearer {
        Bearer {
            sub: "somebody".to_owned(),
            role,
            tenant,
            scopes: None,
            via: Via::Token,
            until: None,
            session: None,
        }
    }

    fn tenant(n: u128) -> TenantId {
        TenantId::from_uuid(uuid::Uuid::from_u128(n))
    }

    /// The whole table: own tenant, another tenant, the platform.
    #[test]
    fn who_may_do_what() {
        const YES: [bool; 3] = [true, true, true];
        const OWN: [bool; 3] = [true, false, false];
        const NO: [bool; 3] = [false, false, false];
        // ListTenants, CreateTenants, SuspendTenants, DeleteTenants, ReadSettings, WriteSettings, ReadTexts, ManageAccess,
        // ManagePlatformAccess, ReadAudit, DeclareRestores
        let table = [
            (
                Role::PlatformAdmin,
                [YES, YES, YES, YES, YES, YES, YES, YES, YES, YES, YES],
            ),
            (
                Role::Engineer,
                [YES, YES, YES, NO, YES, YES, YES, YES, NO, YES, NO],
            ),
            (Role::Support, [YES, NO, NO, NO, YES, NO, NO, NO, NO, YES, NO]),
            (
                Role::TenantAdmin,
                [NO, NO, NO, NO, OWN, OWN, OWN, OWN, NO, OWN, NO],
            ),
            (Role::TenantViewer, [NO, NO, NO, NO, OWN, NO, OWN, NO, NO, NO, NO]),
        ];
        assert_eq!(table.len(), Role::ALL.len());
        for (role, row) in table {
            let bearer = bearer(role, role.is_of_tenant().then(|| tenant(1)));
            assert_eq!(row.len(), Permission::ALL.len());
            for (permission, expected) in Permission::ALL.iter().zip(row) {
                let found = [
                    bearer.permit_on(*permission, tenant(1)).is_ok(),
                    bearer.permit_on(*permission, tenant(2)).is_ok(),
                    bearer.permit(*permission).is_ok(),
                ];
                assert_eq!(found, expected, "{role} {permission:?}");
            }
        }
    }

    #[test]
    fn a_refusal_names_what_it_takes() {
        let viewer = bearer(Role::TenantViewer, Some(tenant(1)));
        let denied = viewer
            .permit_on(Permission::WriteSettings, tenant(1))
            .unwrap_err();
        assert_eq!(
            denied.to_string(),
            "the role tenant-viewer does not allow this; it takes platform-admin or engineer or tenant-admin"
        );
        let denied = viewer.permit_on(Permission::ReadTexts, tenant(2)).unwrap_err();
        assert_eq!(
            denied,
            Denied::OtherTenant {
                needed: vec![Role::PlatformAdmin, Role::Engineer]
            }
        );
        let key = Bearer {
            scopes: Some(vec![Permission::ReadTexts]),
            ..bearer(Role::Engineer, None)
        };
        assert!(key.permit_on(Permission::ReadTexts, tenant(1)).is_ok());
        let denied = key.permit_on(Permission::ReadSettings, tenant(1)).unwrap_err();
        assert_eq!(denied, Denied::Scope(Permission::ReadSettings));
        assert_eq!(
            key.permit(Permission::ListTenants),
            Err(Denied::Scope(Permission::ListTenants))
        );
        let beyond = key.permit(Permission::DeleteTenants).unwrap_err();
        assert!(
            matches!(beyond, Denied::Role { .. }),
            "a scope gives nothing that the role has not"
        );
    }

    #[test]
    fn a_tenants_role_without_a_tenant_is_worth_nothing() {
        for permission in Permission::ALL {
            let nowhere = bearer(Role::TenantAdmin, None);
            assert!(nowhere.permit_on(*permission, tenant(1)).is_err());
            assert!(nowhere.permit(*permission).is_err());
        }
    }

    #[test]
    fn nobody_gives_away_more_than_they_have() {
        let engineer = bearer(Role::Engineer, None);
        assert_eq!(
            engineer.lacks(Role::PlatformAdmin, None),
            Some(Permission::DeleteTenants)
        );
        assert_eq!(
            engineer.lacks(Role::PlatformAdmin, Some(&[Permission::ReadAudit])),
            None
        );
        assert_eq!(engineer.lacks(Role::TenantAdmin, None), None);
        let scoped = Bearer {
            scopes: Some(vec![Permission::ManageAccess]),
            ..bearer(Role::TenantAdmin, Some(tenant(1)))
        };
        assert_eq!(
            scoped.lacks(Role::TenantViewer, None),
            Some(Permission::ReadSettings)
        );
        assert_eq!(
            scoped.lacks(Role::TenantAdmin, Some(&[Permission::ManageAccess])),
            None
        );
    }

    #[test]
    fn they_are_told_apart() {
        let key = |n| Bearer {
            via: Via::ApiKey(ApiKeyId::from_uuid(uuid::Uuid::from_u128(n))),
            ..bearer(Role::Engineer, None)
        };
        assert_eq!(key(1).id(), key(1).id());
        assert_ne!(key(1).id(), key(2).id());
        let user = |n| Bearer {
            via: Via::Oidc(UserId::from_uuid(uuid::Uuid::from_u128(n))),
            ..bearer(Role::Engineer, None)
        };
        assert_ne!(user(1).id(), user(2).id(), "people may have the same name");
        let of = |n| bearer(Role::TenantAdmin, Some(tenant(n))).id();
        assert_ne!(of(1), of(2));
        assert_ne!(
            bearer(Role::Engineer, None).id(),
            bearer(Role::Support, None).id()
        );
    }
}
