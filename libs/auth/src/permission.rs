use crate::Claims;
use ccm_model::TenantId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What somebody is to the platform. Names as tokens carry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs the platform.
    PlatformAdmin,
    /// WEBTEXT's engineer: sets tenants up and mends them, all of them.
    Engineer,
    /// WEBTEXT's support: sees all tenants, but not what people wrote.
    Support,
    /// A tenant's own administrator.
    TenantAdmin,
    /// Somebody at the tenant who reads.
    TenantViewer,
}

impl Role {
    /// Every role, the mightiest first.
    pub const ALL: &'static [Self] = &[
        Self::PlatformAdmin,
        Self::Engineer,
        Self::Support,
        Self::TenantAdmin,
        Self::TenantViewer,
    ];

    /// The name that tokens carry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PlatformAdmin => "platform-admin",
            Self::Engineer => "engineer",
            Self::Support => "support",
            Self::TenantAdmin => "tenant-admin",
            Self::TenantViewer => "tenant-viewer",
        }
    }

    /// Whether it is a role within one tenant; its token names which.
    pub fn is_of_tenant(self) -> bool {
        matches!(self, Self::TenantAdmin | Self::TenantViewer)
    }

    /// Whether the role brings the permission, for a tenant's role in its own tenant.
    pub fn may(self, permission: Permission) -> bool {
        use Permission::{ListTenants, ReadSettings, ReadTexts, WriteSettings};
        match self {
            Self::PlatformAdmin => true,
            Self::Engineer => permission != Permission::DeleteTenants,
            Self::Support => matches!(permission, ListTenants | ReadSettings),
            Self::TenantAdmin => matches!(permission, ReadSettings | WriteSettings | ReadTexts),
            Self::TenantViewer => matches!(permission, ReadSettings | ReadTexts),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|r| r.as_str() == name)
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|r| r.as_str()).collect();
                format!("{name:?} is not a role; it is one of {}", names.join(", "))
            })
    }
}

/// What a request wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See which tenants there are.
    ListTenants,
    /// Make a tenant.
    CreateTenants,
    /// Suspend a tenant and let it go on.
    SuspendTenants,
    /// Take a tenant away with all it has.
    DeleteTenants,
    /// See a tenant's settings, the states of its links and the metadata of its conversations.
    ReadSettings,
    /// Change a tenant's settings, keys and accounts.
    WriteSettings,
    /// Read what people wrote, and their numbers.
    ReadTexts,
}

impl Permission {
    /// Every permission.
    pub const ALL: &'static [Self] = &[
        Self::ListTenants,
        Self::CreateTenants,
        Self::SuspendTenants,
        Self::DeleteTenants,
        Self::ReadSettings,
        Self::WriteSettings,
        Self::ReadTexts,
    ];
}

/// Why a request is refused although its token is good. The text says which role it would take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The role does not bring the permission.
    #[error("the role {role} does not allow this; it takes {}", one_of(needed))]
    Role {
        /// The token's.
        role: Role,
        /// Those that would do.
        needed: Vec<Role>,
    },
    /// The token is of another tenant.
    #[error(
        "the token is of another tenant; it takes one of this tenant, or the role {}",
        one_of(needed)
    )]
    OtherTenant {
        /// Those that would do in any tenant.
        needed: Vec<Role>,
    },
}

impl Denied {
    /// The roles that would have been enough.
    pub fn needed(&self) -> &[Role] {
        match self {
            Self::Role { needed, .. } | Self::OtherTenant { needed } => needed,
        }
    }
}

fn one_of(roles: &[Role]) -> String {
    let names: Vec<_> = roles.iter().map(|r| r.as_str()).collect();
    names.join(" or ")
}

impl Claims {
    /// Whether the bearer may do this to the platform as a whole.
    pub fn permit(&self, permission: Permission) -> Result<(), Denied> {
        if self.role.may(permission) && !self.role.is_of_tenant() {
            return Ok(());
        }
        Err(Denied::Role {
            role: self.role,
            needed: roles_with(permission, |role| !role.is_of_tenant()),
        })
    }

    /// Whether the bearer may do this to one tenant.
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
        Ok(())
    }

    /// Whether the bearer runs the platform.
    pub fn permit_platform_admin(&self) -> Result<(), Denied> {
        match self.role {
            Role::PlatformAdmin => Ok(()),
            role => Err(Denied::Role {
                role,
                needed: vec![Role::PlatformAdmin],
            }),
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

    fn claims(role: Role, tenant: Option<TenantId>) -> Claims {
        Claims {
            iss: "ccm".to_owned(),
            aud: "ccm-admin".to_owned(),
            sub: "somebody".to_owned(),
            exp: 2,
            iat: 1,
            role,
            tenant,
        }
    }

    fn tenant(n: u128) -> TenantId {
        TenantId::from_uuid(uuid(n))
    }

    fn uuid(n: u128) -> uuid::Uuid {
        uuid::Uuid::from_u128(n)
    }

    /// The whole table: own tenant, another tenant, the platform.
    #[test]
    fn who_may_do_what() {
        const YES: [bool; 3] = [true, true, true];
        const OWN: [bool; 3] = [true, false, false];
        const NO: [bool; 3] = [false, false, false];
        // ListTenants, CreateTenants, SuspendTenants, DeleteTenants, ReadSettings, WriteSettings, ReadTexts
        let table = [
            (Role::PlatformAdmin, [YES, YES, YES, YES, YES, YES, YES]),
            (Role::Engineer, [YES, YES, YES, NO, YES, YES, YES]),
            (Role::Support, [YES, NO, NO, NO, YES, NO, NO]),
            (Role::TenantAdmin, [NO, NO, NO, NO, OWN, OWN, OWN]),
            (Role::TenantViewer, [NO, NO, NO, NO, OWN, NO, OWN]),
        ];
        assert_eq!(table.len(), Role::ALL.len());
        for (role, row) in table {
            let claims = claims(role, role.is_of_tenant().then(|| tenant(1)));
            assert_eq!(row.len(), Permission::ALL.len());
            for (permission, expected) in Permission::ALL.iter().zip(row) {
                let found = [
                    claims.permit_on(*permission, tenant(1)).is_ok(),
                    claims.permit_on(*permission, tenant(2)).is_ok(),
                    claims.permit(*permission).is_ok(),
                ];
                assert_eq!(found, expected, "{role} {permission:?}");
            }
        }
    }

    #[test]
    fn a_refusal_names_the_role_that_it_takes() {
        let viewer = claims(Role::TenantViewer, Some(tenant(1)));
        let denied = viewer
            .permit_on(Permission::WriteSettings, tenant(1))
            .unwrap_err();
        assert_eq!(
            denied.to_string(),
            "the role tenant-viewer does not allow this; it takes platform-admin or engineer or tenant-admin"
        );
        let denied = viewer.permit_on(Permission::ReadTexts, tenant(2)).unwrap_err();
        assert_eq!(denied.needed(), [Role::PlatformAdmin, Role::Engineer]);
        let engineer = claims(Role::Engineer, None);
        assert_eq!(
            engineer.permit_platform_admin().unwrap_err().needed(),
            [Role::PlatformAdmin]
        );
        assert!(claims(Role::PlatformAdmin, None).permit_platform_admin().is_ok());
    }

    #[test]
    fn a_tenants_role_without_a_tenant_is_worth_nothing() {
        for permission in Permission::ALL {
            assert!(
                claims(Role::TenantAdmin, None)
                    .permit_on(*permission, tenant(1))
                    .is_err()
            );
            assert!(claims(Role::TenantAdmin, None).permit(*permission).is_err());
        }
    }

    #[test]
    fn role_names_read_back() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(*role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert!(
            "root"
                .parse::<Role>()
                .unwrap_err()
                .contains("platform-admin, engineer")
        );
    }
}
