//! What an offer's link opens: one button. Phones and messengers fetch links to show a preview of them, so the page alone
//! answers nothing; the button does.

use crate::{Deps, worker::came_to};
use axum::{
    extract::{Path, State},
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use ccm_bus::Wake;
use ccm_db::{Clicked, DbError};
use ccm_model::{DeflectionId, DeflectionState, TenantId};
use ccm_web::Problem;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const STYLE: &str = include_str!("page.css");

/// Nothing is fetched, nothing is run, the form goes back to where it came from, and only this page's own style applies.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
});

/// Bytes that stand in a link: nobody finds another one's.
const TOKEN: usize = 16;

/// A new link.
pub struct Token {
    pub address: String,
    /// What is kept of it.
    pub hash: [u8; 32],
}

impl Token {
    pub fn new(base: &str) -> Self {
        let mut token = [0; TOKEN];
        ccm_auth::secure_random(&mut token);
        Self {
            address: format!("{base}/d/{}", BASE64_URL_SAFE_NO_PAD.encode(token)),
            hash: hash(&token),
        }
    }
}

fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// `GET /d/{token}`
pub async fn show(State(deps): State<Deps>, Path(token): Path<String>) -> Result<Response, Problem> {
    let Some((tenant, id)) = deps.find(&token).await? else {
        return Ok(answer(StatusCode::NOT_FOUND, "en", Says::Over));
    };
    let row = deps.db.tenant(tenant).deflection(id).await?;
    let in_time = row.expires_at.is_some_and(|at| at > deps.ids.clock().now());
    let says = match row.state {
        _ if row.answered_at.is_some() => Says::Accepted,
        state if state.is_open() && in_time => Says::Offer,
        _ => Says::Over,
    };
    Ok(answer(StatusCode::OK, &row.language, says))
}

/// `POST /d/{token}`: the button.
pub async fn accept(State(deps): State<Deps>, Path(token): Path<String>) -> Result<Response, Problem> {
    let Some((tenant, id)) = deps.find(&token).await? else {
        return Ok(answer(StatusCode::NOT_FOUND, "en", Says::Over));
    };
    let db = deps.db.tenant(tenant);
    let (settings, _) = db.deflection_settings().await?;
    let (sms, _) = db.sms_settings().await?;
    let (chat, _) = db.chat_settings().await?;
    let note = settings.clicked.in_language(&chat.language);
    let note = note.or_else(|| settings.clicked.in_language("en")).unwrap_or("-");
    let note = format!("{} {note}", sms.agent_notes.prefix);
    let now = deps.ids.clock().now();
    let clicked = db.deflection_clicked(id, &note, now).await?;
    if let Clicked::Now(conversation) = clicked {
        deps.bus.publish(Wake::Inbound { tenant, conversation });
        came_to(DeflectionState::Answered);
    }
    let language = db.deflection(id).await?.language;
    Ok(match clicked {
        Clicked::Now(_) | Clicked::Before => answer(StatusCode::OK, &language, Says::Accepted),
        Clicked::Over => answer(StatusCode::GONE, &language, Says::Over),
        Clicked::NotTextable => answer(StatusCode::CONFLICT, &language, Says::NotTextable),
    })
}

impl Deps {
    async fn find(&self, token: &str) -> Result<Option<(TenantId, DeflectionId)>, DbError> {
        let token = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
        let Some(token) = token.filter(|token| token.len() == TOKEN) else {
            return Ok(None);
        };
        self.db.operator().deflection_by_token(&hash(&token)).await
    }
}

/// What the page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Offer,
    Accepted,
    Over,
    NotTextable,
}

/// Language, then heading and text of the offer, its button, and heading and text of the three other pages.
type Language = (
    &'static str,
    [&'static str; 3],
    [&'static str; 2],
    [&'static str; 2],
    [&'static str; 2],
);

const LANGUAGES: [Language; 4] = [
    (
        "en",
        [
            "Chat by text message",
            "An agent will text you on this phone.",
            "Start the chat",
        ],
        [
            "Your chat is starting",
            "An agent will text you shortly. You can close this page.",
        ],
        [
            "This offer is over",
            "Please call again, or reply to the text message.",
        ],
        [
            "No chat can be started",
            "This phone can get no text messages from us now. Please stay on the line.",
        ],
    ),
    (
        "de",
        [
            "Chat per SMS",
            "Wir schreiben Ihnen auf dieses Telefon.",
            "Chat beginnen",
        ],
        [
            "Ihr Chat beginnt",
            "Wir schreiben Ihnen gleich. Sie können diese Seite schließen.",
        ],
        [
            "Dieses Angebot ist vorbei",
            "Bitte rufen Sie noch einmal an oder antworten Sie auf die SMS.",
        ],
        [
            "Es kann kein Chat beginnen",
            "Dieses Telefon kann von uns gerade keine SMS bekommen. Bitte bleiben Sie in der Leitung.",
        ],
    ),
    (
        "fr",
        [
            "Chat par SMS",
            "Un conseiller vous écrira sur ce téléphone.",
            "Commencer le chat",
        ],
        [
            "Votre chat commence",
            "Un conseiller vous écrira sous peu. Vous pouvez fermer cette page.",
        ],
        [
            "Cette offre n’est plus valable",
            "Veuillez rappeler ou répondre au SMS.",
        ],
        [
            "Le chat ne peut pas commencer",
            "Nous ne pouvons pas envoyer de SMS à ce téléphone en ce moment. Veuillez rester en ligne.",
        ],
    ),
    (
        "es",
        [
            "Chat por SMS",
            "Un agente le escribirá a este teléfono.",
            "Iniciar el chat",
        ],
        [
            "Su chat está comenzando",
            "Un agente le escribirá en breve. Puede cerrar esta página.",
        ],
        ["Esta oferta ha terminado", "Llame de nuevo o responda al SMS."],
        [
            "El chat no puede comenzar",
            "Ahora no podemos enviar mensajes de texto a este teléfono. Permanezca en línea.",
        ],
    ),
];

fn language(tag: &str) -> &'static Language {
    let primary = tag.split('-').next().unwrap_or_default();
    let mut languages = LANGUAGES.iter();
    languages
        .find(|(tag, ..)| tag.eq_ignore_ascii_case(primary))
        .unwrap_or(&LANGUAGES[0])
}

fn answer(status: StatusCode, tag: &str, says: Says) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ];
    (status, headers, page(language(tag), says)).into_response()
}

/// All of it is ours: nothing of what scripts, customers or addresses say stands in it.
fn page((tag, offer, accepted, over, not_textable): &Language, says: Says) -> String {
    let (title, text, form) = match says {
        Says::Offer => {
            let [title, text, button] = offer;
            let form = format!("<form method=\"post\"><button type=\"submit\">{button}</button></form>\n");
            (title, text, form)
        }
        Says::Accepted => (&accepted[0], &accepted[1], String::new()),
        Says::Over => (&over[0], &over[1], String::new()),
        Says::NotTextable => (&not_textable[0], &not_textable[1], String::new()),
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"{tag}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main>\n<h1>{title}</h1>\n<p>{text}</p>\n{form}</main></body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_link_is_one_of_its_own() {
        let (one, other) = (Token::new("https://x"), Token::new("https://x"));
        assert_ne!(one.address, other.address);
        assert_ne!(one.hash, other.hash);
        let token = one.address.strip_prefix("https://x/d/").unwrap();
        assert_eq!(token.len(), 22);
        assert_eq!(hash(&BASE64_URL_SAFE_NO_PAD.decode(token).unwrap()), one.hash);
    }

    #[test]
    fn every_page_speaks_its_callers_language() {
        for (tag, lang) in [
            ("de-AT", "de"),
            ("FR", "fr"),
            ("es", "es"),
            ("nl", "en"),
            ("", "en"),
        ] {
            let shown = page(language(tag), Says::Offer);
            assert!(
                shown.contains(&format!("<html lang=\"{lang}\">")),
                "{tag}: {shown}"
            );
            assert!(shown.contains("<form method=\"post\">"));
            for says in [Says::Accepted, Says::Over, Says::NotTextable] {
                assert!(!page(language(tag), says).contains("<form"), "{says:?}");
            }
        }
    }
}
