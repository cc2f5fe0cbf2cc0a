use ccm_model::{
    AccountId, ApiKeyId, AuthKeyId, ConversationId, LinkId, NumberId, SigningKeyId, SkillsetId, TenantId,
    UserId, WebhookId, WebhookSecretId,
};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

/// A tenant's path. Handlers take the id from their `TenantScope`.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "the document is made of it")]
pub struct TenantPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    tenant: TenantId,
}

/// A deletion's path.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct DeletionPath {
    /// The deletion's id.
    pub deletion: Uuid,
}

/// The path of a life of the database.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct LifePath {
    /// The life's id.
    pub life: Uuid,
}

/// A conversation's path.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ConversationPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The conversation's id.
    #[param(value_type = Uuid)]
    pub conversation: ConversationId,
}

/// A link's path.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct LinkPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The link's id.
    #[param(value_type = Uuid)]
    pub link: LinkId,
}

/// The path of an authority that a link trusts.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct TrustedCaPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The link's id.
    #[param(value_type = Uuid)]
    pub link: LinkId,
    /// The certificate's fingerprint: SHA-256 in hex, with or without colons.
    pub sha256: String,
}

/// The path of a link doctor's report.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct DoctorReportPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The report's id.
    pub report: Uuid,
}

/// The path of a link's maintenance window.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct WindowPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The link's id.
    #[param(value_type = Uuid)]
    pub link: LinkId,
    /// The window's id.
    pub window: Uuid,
}

/// A provider account's path.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct AccountPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The account's id.
    #[param(value_type = Uuid)]
    pub account: AccountId,
}

/// A number's path.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct NumberPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The number's id.
    #[param(value_type = Uuid)]
    pub number: NumberId,
}

/// A dead letter's path.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct DeadLetterPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The dead letter's id.
    pub letter: Uuid,
}

/// The path of a signing secret for webhooks.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct WebhookSecretPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The secret's id.
    #[param(value_type = Uuid)]
    pub secret: WebhookSecretId,
}

/// The path of a signing key for links to the agents' page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SigningKeyPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The key's id.
    #[param(value_type = Uuid)]
    pub signing_key: SigningKeyId,
}

/// A skillset's path.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SkillsetPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The skillset's id.
    #[param(value_type = Uuid)]
    pub skillset: SkillsetId,
}

/// A screen-pop key's path.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct AuthKeyPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The key's id.
    #[param(value_type = Uuid)]
    pub key: AuthKeyId,
}

/// A legal hold's path.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct HoldPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The hold's id.
    pub hold: Uuid,
}

/// The path of a person's erasure.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ErasurePath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The erasure's id.
    pub erasure: Uuid,
}

/// A template's path.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct TemplatePath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The template's id.
    pub template: Uuid,
}

/// An API key's path.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ApiKeyPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The key's id.
    #[param(value_type = Uuid)]
    pub key: ApiKeyId,
}

/// The path of an API key of the platform.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct PlatformApiKeyPath {
    /// The key's id.
    #[param(value_type = Uuid)]
    pub key: ApiKeyId,
}

/// A user's path.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct UserPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The user's id.
    #[param(value_type = Uuid)]
    pub user: UserId,
}

/// The path of a user of the platform.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct PlatformUserPath {
    /// The user's id.
    #[param(value_type = Uuid)]
    pub user: UserId,
}

/// The path of a number's move.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct NumberMovePath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The number's id.
    #[param(value_type = Uuid)]
    pub number: NumberId,
    /// The move's id.
    pub number_move: Uuid,
}

/// A webhook's path.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct WebhookPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The webhook's id.
    #[param(value_type = Uuid)]
    pub webhook: WebhookId,
}

/// The path of what a webhook was told.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct DeliveryPath {
    /// The tenant's id.
    #[param(value_type = Uuid)]
    #[allow(dead_code, reason = "handlers take it from their `TenantScope`")]
    tenant: TenantId,
    /// The webhook's id.
    #[param(value_type = Uuid)]
    pub webhook: WebhookId,
    /// The delivery's id.
    pub delivery: Uuid,
}
