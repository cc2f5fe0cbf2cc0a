use ccm_model::MessageState;
use std::str::FromStr;

/// The language of what is not the conversation's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    #[default]
    English,
    German,
    French,
    Spanish,
}

/// What a transcript says itself.
pub(crate) struct Words {
    pub title: &'static str,
    pub conversation: &'static str,
    pub number: &'static str,
    pub customer: &'static str,
    pub agent: &'static str,
    pub automatic: &'static str,
    pub opened: &'static str,
    pub closed: &'static str,
    pub zone: &'static str,
    pub erased: &'static str,
    pub cut: &'static str,
    pub page: &'static str,
    pub not_shown: &'static str,
    waits: &'static str,
    sent: &'static str,
    failed: &'static str,
    unknown: &'static str,
}

const ENGLISH: Words = Words {
    title: "Transcript",
    conversation: "Conversation",
    number: "Number",
    customer: "Customer",
    agent: "Agent",
    automatic: "Automatic text",
    opened: "Opened",
    closed: "Closed",
    zone: "Time zone",
    erased: "[text erased]",
    cut: "There are more texts than this transcript holds.",
    page: "Page",
    not_shown: "Characters that this document's font does not have stand as their code points, like ‹U+1F600›.",
    waits: "waits",
    sent: "sent",
    failed: "not delivered",
    unknown: "delivery unknown",
};

const GERMAN: Words = Words {
    title: "Protokoll",
    conversation: "Gespräch",
    number: "Nummer",
    customer: "Kunde",
    agent: "Agent",
    automatic: "Automatische Nachricht",
    opened: "Begonnen",
    closed: "Beendet",
    zone: "Zeitzone",
    erased: "[Text gelöscht]",
    cut: "Es gibt mehr Nachrichten, als dieses Protokoll enthält.",
    page: "Seite",
    not_shown: "Zeichen, die die Schrift dieses Dokuments nicht hat, stehen als ihre Codes da, wie ‹U+1F600›.",
    waits: "wartet",
    sent: "gesendet",
    failed: "nicht zugestellt",
    unknown: "Zustellung unbekannt",
};

const FRENCH: Words = Words {
    title: "Transcription",
    conversation: "Conversation",
    number: "Numéro",
    customer: "Client",
    agent: "Agent",
    automatic: "Message automatique",
    opened: "Début",
    closed: "Fin",
    zone: "Fuseau horaire",
    erased: "[texte effacé]",
    cut: "Il y a plus de messages que cette transcription n’en contient.",
    page: "Page",
    not_shown: "Les caractères absents de la police de ce document sont remplacés par leur code, comme ‹U+1F600›.",
    waits: "en attente",
    sent: "envoyé",
    failed: "non remis",
    unknown: "remise inconnue",
};

const SPANISH: Words = Words {
    title: "Transcripción",
    conversation: "Conversación",
    number: "Número",
    customer: "Cliente",
    agent: "Agente",
    automatic: "Mensaje automático",
    opened: "Inicio",
    closed: "Fin",
    zone: "Zona horaria",
    erased: "[texto borrado]",
    cut: "Hay más mensajes de los que contiene esta transcripción.",
    page: "Página",
    not_shown: "Los caracteres que no tiene la fuente de este documento aparecen con su código, como ‹U+1F600›.",
    waits: "en espera",
    sent: "enviado",
    failed: "no entregado",
    unknown: "entrega desconocida",
};

impl Language {
    /// Every language.
    pub const ALL: &'static [Self] = &[Self::English, Self::German, Self::French, Self::Spanish];

    /// Two letters (ISO 639-1).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
        }
    }

    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::German => &GERMAN,
            Self::French => &FRENCH,
            Self::Spanish => &SPANISH,
        }
    }

    /// What became of a text, unless it reached whom it was for.
    pub(crate) fn state(self, state: MessageState) -> Option<&'static str> {
        let words = self.words();
        match state {
            MessageState::Delivered => None,
            MessageState::Accepted | MessageState::Queued | MessageState::Sending => Some(words.waits),
            MessageState::Sent => Some(words.sent),
            MessageState::Unknown => Some(words.unknown),
            MessageState::Refused
            | MessageState::Failed
            | MessageState::Undeliverable
            | MessageState::Expired => Some(words.failed),
        }
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL
            .iter()
            .copied()
            .find(|language| language.as_str() == name);
        found.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|language| language.as_str()).collect();
            format!("is not one of {}", names.join(", "))
        })
    }
}
