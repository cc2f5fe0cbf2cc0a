use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

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
        use Permission as P;
        match self {
            Self::PlatformAdmin => true,
            Self::Engineer => !matches!(
                permission,
                P::DeleteTenants | P::ManagePlatformAccess | P::DeclareRestores
            ),
            Self::Support => matches!(permission, P::ListTenants | P::ReadSettings | P::ReadAudit),
            Self::TenantAdmin => matches!(
                permission,
                P::ReadSettings | P::WriteSettings | P::ReadTexts | P::ManageAccess | P::ReadAudit
            ),
            Self::TenantViewer => matches!(permission, P::ReadSettings | P::ReadTexts),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
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

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// What a request wants to do. Names as an API key's scopes carry them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Permission {
            $($(#[$doc])* $name,)*
        }

        impl Permission {
            /// Every permission.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name of the scope.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

permissions! {
    /// See which tenants there are.
    ListTenants = "list-tenants",
    /// Make a tenant.
    CreateTenants = "create-tenants",
    /// Suspend a tenant and let it go on.
    SuspendTenants = "suspend-tenants",
    /// Take a tenant away with all it has.
    DeleteTenants = "delete-tenants",
    /// See a tenant's settings, the states of its links and the metadata of its conversations.
    ReadSettings = "read-settings",
    /// Change a tenant's settings, keys and accounts.
    WriteSettings = "write-settings",
    /// Read what people wrote, and their numbers.
    ReadTexts = "read-texts",
    /// Say who may use the API for a tenant: its users and API keys.
    ManageAccess = "manage-access",
    /// Say who may use the API for the whole platform.
    ManagePlatformAccess = "manage-platform-access",
    /// Read who changed what.
    ReadAudit = "read-audit",
    /// Say that the platform's database was restored, and that what it had forgotten is there again.
    DeclareRestores = "declare-restores",
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|p| p.as_str() == name)
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|p| p.as_str()).collect();
                format!("{name:?} is not a scope; it is one of {}", names.join(", "))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(*role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(*permission));
        }
        let error = "root".parse::<Role>().unwrap_err();
        assert!(error.contains("platform-admin, engineer"));
        let error = "everything".parse::<Permission>().unwrap_err();
        assert!(error.contains("list-tenants, create-tenants"));
    }
}
