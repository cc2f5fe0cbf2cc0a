use crate::{
    Deletions, Deps, Keeping, accounts, api_keys, asked, audit, audit_verdict, auth_keys, caps, certificates,
    client_key, consent, conversations, dead_letters, deflections, deletions, doctor, events, identity::Gate,
    link_watch, links, lives, maintenance, number_check, number_moves, numbers, once, overview, pace,
    platform_watch, routing, sessions, settings, signing_keys, skillsets, store, templates, tenants,
    text_check, usage, usage_work, users, webhook_deliveries, webhook_secrets, webhooks,
};
use axum::{
    Router,
    middleware::{from_fn_with_state, map_response},
    routing::get,
};
use ccm_runtime::Lifecycle;
use ccm_web::{Problem, WebConfig, identify, not_stored};
use std::{io, time::Duration};
use tokio::net::TcpListener;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::SwaggerUi;

/// Longer than any request takes on a healthy database.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Contact Center Messaging: tenant admin API",
        description = "Makes tenants with everything that carrying texts needs, and reads conversations back.\n\n\
            Times are RFC 3339 in UTC. Rates are per second. Ids are UUIDs; those made later sort later. Addresses are \
            E.164 (`+14155550123`) or short codes (3 to 8 digits).\n\n\
            Every failure is `application/problem+json` (RFC 9457): `field` says where, `remedy` what to do, and \
            `request_id` finds it in the logs. Fields that this document does not know are refused.\n\n\
            Order of making: tenant, link, skillset (of a link), account, number (of an account and a skillset).",
    ),
    security(("jwt" = [])),
    modifiers(&BearerJwt),
    components(schemas(Problem, crate::removal::RemovalPlan)),
    tags(
        (name = "tenants", description = "Customers of the platform: one contact center each."),
        (name = "overview", description = "How tenants and the platform do, what is wrong, and what to do about it."),
        (name = "usage", description = "What tenants use, by day, and how much they may send."),
        (name = "deletions", description = "Tenants that go, in steps that can be taken back, and the proof that nothing is left."),
        (name = "chat-settings", description = "How a tenant's chats behave."),
        (name = "sms-settings", description = "How a tenant's texts are treated."),
        (name = "screenpop", description = "The page from which agents text a caller, and links to it that a tenant signs."),
        (name = "routing", description = "Where a tenant's texts go: rules, business hours, automatic replies."),
        (name = "webhooks", description = "Where a tenant's programs are told of what happens, and what became of it."),
        (name = "deflection", description = "Callers in a voice queue who are offered a text chat instead."),
        (name = "links", description = "A tenant's AACC, reached over EWC: how, how it does, and when it is meant to be away."),
        (name = "certificates", description = "Whom a link trusts and what it shows; keys that are made here."),
        (name = "doctor", description = "The link doctor: what is wrong with a link, where, and what to do about it."),
        (name = "skillsets", description = "Skillsets of a tenant's AACC."),
        (name = "accounts", description = "A tenant's accounts with SMS providers."),
        (name = "numbers", description = "What customers text, and which skillset answers."),
        (name = "auth-keys", description = "Keys for the screen-pop page."),
        (name = "api-keys", description = "Keys for programs that use this API."),
        (name = "sessions", description = "Who asks, and signing in at the console and out."),
        (name = "users", description = "People who sign in with a token of an OIDC issuer, and what they are here."),
        (name = "audit", description = "Who changed what, from what to what, when and from where."),
        (name = "templates", description = "Texts that agents send again and again."),
        (name = "conversations", description = "What was texted, both ways."),
        (name = "message-store", description = "Texts found again, read as documents, kept and taken away."),
        (name = "dead-letters", description = "Texts that did not get through: seen, mended, replayed, discarded."),
        (name = "consent", description = "Who wants no texts, and what proves it."),
        (name = "checks", description = "What a number is and what a text costs; nothing is sent or stored."),
    )
)]
struct Document;

struct BearerJwt;

impl Modify for BearerJwt {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some(
                "`Authorization: Bearer TOKEN`, with one of three. A token of an OIDC issuer that the platform knows: its bearer is \
                 one of the API's users. An API key, `ccm_…`. A token that `ccm token` has issued, with the claims `iss`, `aud`, \
                 `sub`, `exp`, `iat`, `role` (platform-admin, engineer, support, tenant-admin, tenant-viewer) and, for the last \
                 two, `tenant`.",
            ))
            .build();
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("jwt", SecurityScheme::Http(scheme));
    }
}

fn routes() -> OpenApiRouter<Deps> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(sessions::get_me))
        .routes(routes!(sessions::create_session))
        .routes(routes!(sessions::delete_session))
        .routes(routes!(tenants::create_tenant, tenants::list_tenants))
        .routes(routes!(tenants::get_tenant, tenants::patch_tenant))
        .routes(routes!(tenants::put_tenant_state))
        .routes(routes!(events::list_events))
        .routes(routes!(overview::list_overviews))
        .routes(routes!(overview::get_overview))
        .routes(routes!(overview::platform::get_platform))
        .routes(routes!(lives::tell_life, lives::list_lives))
        .routes(routes!(lives::settle_life))
        .routes(routes!(store::statistics::get_statistics))
        .routes(routes!(
            deletions::create_deletion,
            deletions::get_deletion,
            deletions::delete_deletion
        ))
        .routes(routes!(usage::get_usage))
        .routes(routes!(usage::list_usage))
        .routes(routes!(caps::get_caps, caps::put_caps))
        .routes(routes!(deletions::list_deletions))
        .routes(routes!(deletions::get_deletion_by_id))
        .routes(routes!(deletions::get_certificate))
        .routes(routes!(settings::get_chat_settings, settings::put_chat_settings))
        .routes(routes!(settings::get_sms_settings, settings::put_sms_settings))
        .routes(routes!(
            settings::get_deflection_settings,
            settings::put_deflection_settings
        ))
        .routes(routes!(deflections::list_deflections))
        .routes(routes!(deflections::get_deflection_funnel))
        .routes(routes!(
            settings::get_screenpop_settings,
            settings::put_screenpop_settings
        ))
        .routes(routes!(
            signing_keys::create_signing_key,
            signing_keys::list_signing_keys
        ))
        .routes(routes!(signing_keys::delete_signing_key))
        .routes(routes!(routing::get_routing, routing::put_routing))
        .routes(routes!(routing::dry_run_routing))
        .routes(routes!(
            webhook_secrets::create_webhook_secret,
            webhook_secrets::list_webhook_secrets
        ))
        .routes(routes!(webhook_secrets::delete_webhook_secret))
        .routes(routes!(webhooks::create_webhook, webhooks::list_webhooks))
        .routes(routes!(
            webhooks::get_webhook,
            webhooks::patch_webhook,
            webhooks::delete_webhook
        ))
        .routes(routes!(webhooks::rotate_webhook_secret))
        .routes(routes!(webhooks::test_webhook))
        .routes(routes!(webhook_deliveries::list_deliveries))
        .routes(routes!(webhook_deliveries::replay_delivery))
        .routes(routes!(webhook_deliveries::replay_deliveries))
        .routes(routes!(links::create_link, links::list_links))
        .routes(routes!(
            links::get_link,
            links::replace_link,
            links::patch_link,
            links::delete_link
        ))
        .routes(routes!(link_watch::get_link_state))
        .routes(routes!(link_watch::list_link_events))
        .routes(routes!(certificates::get_certificates))
        .routes(routes!(
            certificates::add_trusted_cas,
            certificates::list_trusted_cas
        ))
        .routes(routes!(certificates::delete_trusted_ca))
        .routes(routes!(
            client_key::create_client_key,
            client_key::get_client_key,
            client_key::delete_client_key
        ))
        .routes(routes!(
            client_key::put_client_certificate,
            client_key::delete_client_certificate
        ))
        .routes(routes!(doctor::examine_link))
        .routes(routes!(doctor::examine_new_link_of_tenant))
        .routes(routes!(doctor::examine_new_link))
        .routes(routes!(doctor::list_doctor_reports))
        .routes(routes!(doctor::get_doctor_report))
        .routes(routes!(
            doctor::share_doctor_report,
            doctor::unshare_doctor_report
        ))
        .routes(routes!(
            maintenance::create_maintenance_window,
            maintenance::list_maintenance_windows
        ))
        .routes(routes!(maintenance::delete_maintenance_window))
        .routes(routes!(skillsets::create_skillset, skillsets::list_skillsets))
        .routes(routes!(
            skillsets::get_skillset,
            skillsets::patch_skillset,
            skillsets::delete_skillset
        ))
        .routes(routes!(accounts::create_account, accounts::list_accounts))
        .routes(routes!(
            accounts::get_account,
            accounts::patch_account,
            accounts::delete_account
        ))
        .routes(routes!(accounts::list_account_events))
        .routes(routes!(numbers::create_number, numbers::list_numbers))
        .routes(routes!(
            numbers::get_number,
            numbers::patch_number,
            numbers::delete_number
        ))
        .routes(routes!(
            number_moves::create_number_move,
            number_moves::list_number_moves
        ))
        .routes(routes!(number_moves::cancel_number_move))
        .routes(routes!(auth_keys::create_auth_key, auth_keys::list_auth_keys))
        .routes(routes!(
            auth_keys::get_auth_key,
            auth_keys::patch_auth_key,
            auth_keys::revoke_auth_key
        ))
        .routes(routes!(auth_keys::rotate_auth_key))
        .routes(routes!(templates::create_template, templates::list_templates))
        .routes(routes!(
            templates::get_template,
            templates::patch_template,
            templates::delete_template
        ))
        .routes(routes!(conversations::list_conversations))
        .routes(routes!(conversations::get_conversation))
        .routes(routes!(conversations::list_messages))
        .routes(routes!(store::search::search_messages))
        .routes(routes!(store::transcript::get_transcript))
        .routes(routes!(
            settings::get_retention_settings,
            settings::put_retention_settings
        ))
        .routes(routes!(store::retention::plan_retention))
        .routes(routes!(store::retention::get_retention))
        .routes(routes!(
            store::holds::create_legal_hold,
            store::holds::list_legal_holds
        ))
        .routes(routes!(
            store::holds::get_legal_hold,
            store::holds::release_legal_hold
        ))
        .routes(routes!(
            store::erasures::create_erasure,
            store::erasures::list_erasures
        ))
        .routes(routes!(store::erasures::get_erasure))
        .routes(routes!(store::erasures::get_erasure_certificate))
        .routes(routes!(store::exports::export_person))
        .routes(routes!(dead_letters::list_dead_letters))
        .routes(routes!(dead_letters::many::replay_dead_letters))
        .routes(routes!(dead_letters::many::discard_dead_letters))
        .routes(routes!(dead_letters::get_dead_letter))
        .routes(routes!(dead_letters::replay_dead_letter))
        .routes(routes!(dead_letters::discard_dead_letter))
        .routes(routes!(
            consent::list_opt_outs,
            consent::put_opt_out,
            consent::delete_opt_out
        ))
        .routes(routes!(consent::list_consent_events))
        .routes(routes!(
            api_keys::create_platform_api_key,
            api_keys::list_platform_api_keys
        ))
        .routes(routes!(
            api_keys::get_platform_api_key,
            api_keys::revoke_platform_api_key
        ))
        .routes(routes!(api_keys::rotate_platform_api_key))
        .routes(routes!(api_keys::create_api_key, api_keys::list_api_keys))
        .routes(routes!(api_keys::get_api_key, api_keys::revoke_api_key))
        .routes(routes!(api_keys::rotate_api_key))
        .routes(routes!(users::create_platform_user, users::list_platform_users))
        .routes(routes!(
            users::get_platform_user,
            users::change_platform_user,
            users::delete_platform_user
        ))
        .routes(routes!(users::create_user, users::list_users))
        .routes(routes!(users::get_user, users::change_user, users::delete_user))
        .routes(routes!(audit::list_platform_audit))
        .routes(routes!(audit::export_platform_audit))
        .routes(routes!(audit::verify_platform_audit))
        .routes(routes!(audit::list_audit))
        .routes(routes!(audit::export_audit))
        .routes(routes!(audit::verify_audit))
        .routes(routes!(number_check::check_number))
        .routes(routes!(text_check::check_text))
}

/// The API's document, as `/openapi.json` serves it.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().into_openapi()
}

/// The whole API: `/v1`, `/openapi.json` and `/docs`.
pub fn router(deps: Deps) -> Router {
    let web = WebConfig {
        role: "admin",
        max_body_bytes: deps.max_body_bytes,
        timeout: Some(TIMEOUT),
    };
    let (api, document) = routes().split_for_parts();
    let ids = deps.ids.clone();
    let (gate, paced) = ((deps.gate(), deps.proxies.clone()), pace::Pace::new(deps.rate));
    let api = api
        // For people without a token, and no part of the API's document.
        .route("/doctor/reports/{token}", get(doctor::page::shared_report))
        .with_state(deps.clone())
        .layer(from_fn_with_state(deps.clone(), once::once))
        .layer(from_fn_with_state(
            (asked::Routes::of(&document), deps),
            asked::asked,
        ))
        .layer(from_fn_with_state(paced, pace::pace))
        .layer(from_fn_with_state(gate, identify::<Gate>))
        .layer(map_response(not_stored));
    let router = api.merge(
        SwaggerUi::new("/docs")
            .url("/openapi.json", document)
            .config(page()),
    );
    ccm_web::wrap(router, web, ids)
}

/// The page would show the document's address to a validator on the internet.
fn page() -> utoipa_swagger_ui::Config<'static> {
    utoipa_swagger_ui::Config::new(["/openapi.json"]).validator_url("none")
}

/// Serves `site`, in which the API's [`router`] is, carries tenants' deletions out, counts usage and tells how far the audit has come, until the process drains. The health pages are the process' own (`ccm_runtime::ops`).
pub async fn run(listener: TcpListener, site: Router, deps: Deps, life: Lifecycle) -> io::Result<()> {
    let (forgetting, moving) = (
        once::forget(deps.clone()),
        number_moves::keep_moving(deps.clone()),
    );
    let (doctor, draining) = (deps.doctor.clone(), life.clone());
    tokio::spawn(async move {
        draining.draining().await;
        doctor.stop();
    });
    let deletions = Deletions {
        db: deps.db.clone(),
        bus: deps.bus.clone(),
        ids: deps.ids.clone(),
    };
    let keeping = Keeping {
        db: deps.db.clone(),
        ids: deps.ids.clone(),
    };
    let usage = usage_work::run(deps.db.clone(), deps.ids.clone(), life.clone());
    let heads = audit_verdict::tell_heads(deps.clone(), life.clone());
    let platform = platform_watch::run(deps.clone(), life.clone());
    let served = async {
        let served = ccm_runtime::serve(listener, site, life.clone());
        tokio::join!(
            served,
            deletions.run(life.clone()),
            keeping.run(life),
            usage,
            heads,
            platform
        )
        .0
    };
    tokio::select! {
        served = served => served,
        () = forgetting => Ok(()),
        () = moving => Ok(()),
    }
}
