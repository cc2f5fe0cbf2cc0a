"""What the dashboards show. A panel is a dict: `title`, `says` (its description), `unit`, `asks` (`[(PromQL, legend)]`), and where they are wanted
`kind`, `w`, `h`, `thresholds`, `alerts` (whose runbooks it leads to), `stack`, `min` (0 if nothing is said, `None`: none), `max`, `decimals`."""

N = 'namespace=~"$namespace"'


def rate(metric, by="", where=""):
    """A counter a second, over all pods."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{N}{', ' + where if where else ''}}}[$__rate_interval]))"


def most(metric, by="", where=""):
    """What each admin pod tells alike."""
    return f"max{f' by ({by})' if by else ''} ({metric}{{{N}{', ' + where if where else ''}}})"


def total(metric, by="", where=""):
    return f"sum{f' by ({by})' if by else ''} ({metric}{{{N}{', ' + where if where else ''}}})"


def quantiles(metric, by="", where="", which=(0.5, 0.95, 0.99)):
    legend = "".join(f" {{{{{label.strip()}}}}}" for label in by.split(",") if label)
    grouped = f"{by}, le" if by else "le"
    return [
        (
            f"histogram_quantile({q}, sum by ({grouped}) (rate({metric}_bucket{{{N}{', ' + where if where else ''}}}[$__rate_interval])))",
            f"p{round(q * 100)}{legend}",
        )
        for q in which
    ]


def ten(expression):
    return f"topk(10, {expression})"


def number(title, says, unit, ask, thresholds=(), alerts=(), w=4, **more):
    return {"title": title, "says": says, "unit": unit, "asks": [(ask, "")], "kind": "stat", "w": w, "h": 4, "thresholds": list(thresholds), "alerts": alerts, **more}


def lines(title, says, unit, asks, thresholds=(), alerts=(), **more):
    return {"title": title, "says": says, "unit": unit, "asks": asks, "thresholds": list(thresholds), "alerts": alerts, **more}


ALERTS = f'ALERTS{{{N}, alertname=~"Ccm.*", alertstate="firing"'
PODS_WORK = "Sums over all pods; a pod that is replaced leaves its share to the next one."

OVERVIEW = [
    (
        "Now",
        [
            number("Pages", "Alerts that somebody is woken for, firing now.", "short", f'count({ALERTS}, severity="page"}}) or vector(0)', [(1, "red")]),
            number("Tickets", "Alerts that are to be seen to in the day, firing now.", "short", f'count({ALERTS}, severity="ticket"}}) or vector(0)', [(1, "yellow")]),
            number("Texts in", "Customers' texts that were taken, a second.", "cps", rate("ccm_ingest_accepted_total"), decimals=2),
            number("Texts out", "Texts that providers have taken, a second.", "cps", rate("ccm_dispatch_sent_total"), decimals=2),
            number("Conversations served", "Conversations that a connector serves now, those that wait for an agent among them.", "short", total("ccm_connector_actors")),
            number(
                "Links down",
                "Links to AACCs that are down, half open or unusable. Planned absences are not in it.",
                "short",
                total("ccm_connector_links", where='state=~"down|half_open|unusable"'),
                [(1, "yellow"), (3, "red")],
                ["CcmLinkDown", "CcmManyLinksDown", "CcmLinkUnusable"],
            ),
        ],
    ),
    (
        "Objectives",
        [
            {
                **number(
                    "Budget left",
                    "What is left of the 30 days' budget of errors: 100 % untouched, 0 % spent, below it overdrawn (docs/slo.md).",
                    "percentunit",
                    f"ccm:slo_budget_left{{{N}}}",
                    alerts=["CcmAcceptBudgetBurnsSlowly", "CcmChatBudgetBurnsSlowly", "CcmProviderBudgetBurnsSlowly", "CcmLinkBudgetBurns"],
                    w=8,
                    decimals=1,
                    max=1,
                ),
                "asks": [(f"ccm:slo_budget_left{{{N}}}", "{{slo}}")],
                "h": 8,
            },
            lines(
                "Budget being spent",
                "How many times as fast as it may: 1 spends the budget in 30 days, 14.4 in two.",
                "short",
                [(f"ccm:sli_bad_ratio:1h{{{N}}} / on (slo) group_left () ccm:slo_budget", "{{slo}} in an hour"), (f"ccm:sli_bad_ratio:6h{{{N}}} / on (slo) group_left () ccm:slo_budget", "{{slo}} in six")],
                [(6, "yellow"), (14.4, "red")],
                ["CcmAcceptBudgetBurnsFast", "CcmChatBudgetBurnsFast", "CcmProviderBudgetBurnsFast"],
            ),
            lines(
                "Answered with 5xx at ingest",
                "The part of providers' posts that CCM could not take. They post again for a while.",
                "percentunit",
                [(f"ccm:sli_bad_ratio:5m{{{N}, slo=\"accept\"}}", "in 5 minutes"), (f"ccm:sli_bad_ratio:1h{{{N}, slo=\"accept\"}}", "in an hour")],
                [(0.0005, "yellow"), (0.0072, "red")],
                ["CcmAcceptBudgetBurnsFast"],
            ),
            lines("Accept to chat", "From the acceptance of a text that opens a chat to AACC's word that it is open. Waiting for an agent is not in it.", "s", quantiles("ccm_connector_accept_to_chat_seconds"), [(5, "red")], ["CcmChatBudgetBurnsFast"]),
            lines("Agent to provider", "From what an agent wrote to the provider's acceptance, waiting for numbers' rates included.", "s", quantiles("ccm_dispatch_sent_seconds"), [(5, "red")], ["CcmProviderBudgetBurnsFast"]),
            lines("Accept to agent", "From a text's acceptance to its acknowledgement, waiting for an agent included: what customers feel, and what the tenants' staffing decides.", "s", quantiles("ccm_connector_delivery_seconds")),
        ],
    ),
    (
        "Traffic",
        [
            lines("Texts in, by provider", "Customers' texts that were taken, and those that were posted again and known already.", "cps", [(rate("ccm_ingest_accepted_total", "kind"), "{{kind}}"), (rate("ccm_ingest_repeated_total", "kind"), "{{kind}} again")], alerts=["CcmIngestSilent"]),
            lines("Texts out, by provider", "Texts that providers have taken.", "cps", [(rate("ccm_dispatch_sent_total", "kind"), "{{kind}}")], alerts=["CcmProviderFails"]),
            lines("Requests by role", f"What is asked over HTTP, probes and scrapes left out. {PODS_WORK}", "reqps", [(rate("ccm_http_requests_total", "role", 'role=~"$role"'), "{{role}}")]),
        ],
    ),
    (
        "Problems",
        [
            {
                "title": "Alerts that fire",
                "says": "Their runbooks say what each means and what to do.",
                "unit": "short",
                "kind": "table",
                "w": 12,
                "asks": [(f"{ALERTS}}}", "")],
                "hides": ["alertstate", "job"],
            },
            lines(
                "Dead letters",
                "Texts that get no further by themselves: to agents that AACC refused, to phones that no provider took, and for numbers that are nobody's. They wait for a person.",
                "cps",
                [
                    (rate("ccm_connector_texts_refused_total"), "to agents"),
                    (rate("ccm_dispatch_failed_total", where='class!="opted_out"'), "to phones"),
                    (rate("ccm_ingest_unrouted_total"), "for nobody's numbers"),
                ],
                alerts=["CcmTextsRefused", "CcmTextsGivenUp", "CcmTextsForUnknownNumbers"],
                w=12,
            ),
            lines("What conversations wait for", "Conversations with a text that does not get on, by what it waits for.", "short", [(total("ccm_connector_waiting", "for"), "{{for}}")], alerts=["CcmTextsWaitForLinks"], stack=True),
            lines("Oldest of each queue", "How long the first of each queue waits or has been due. What waits for agents is people's.", "s", [(most("ccm_platform_queue_oldest_seconds", "queue", 'queue!~"texts_for_agents"'), "{{queue}}")], alerts=["CcmLinesNotTaken", "CcmIngestLate", "CcmBackgroundLate"]),
            lines("Sent again", "Texts that were sent again although the far side may have had them; each is marked in the store.", "cps", [(rate("ccm_connector_resends_total"), "to agents"), (rate("ccm_dispatch_resends_total"), "to phones")], alerts=["CcmTextsSentAgain"]),
        ],
    ),
]

OVERVIEW.append(
    (
        "Tenants (each process names 100; all others are one)",
        [
            lines("Texts in, by tenant", "The ten tenants with the most texts of customers.", "cps", [(ten(rate("ccm_tenant_texts_total", "tenant", 'event="accepted"')), "{{tenant}}")], w=12),
            lines("Texts out, by tenant", "The ten tenants with the most texts to customers.", "cps", [(ten(rate("ccm_tenant_texts_total", "tenant", 'event="sent"')), "{{tenant}}")], w=12),
            lines("Dead letters, by tenant", "Whose texts no agent or no phone will get.", "cps", [(ten(rate("ccm_tenant_texts_total", "tenant, event", 'event=~"refused|failed"')), "{{tenant}} {{event}}")], alerts=["CcmTextsRefused", "CcmTextsGivenUp"], w=8),
            lines("Accept to agent, by tenant", "The slowest twentieth, waiting for an agent included, of the ten slowest tenants.", "s", [(ten(quantiles("ccm_tenant_text_seconds", "tenant", 'event="delivered"', (0.95,))[0][0]), "{{tenant}}")], w=8),
            lines("Agent to provider, by tenant", "The slowest twentieth of the ten slowest tenants.", "s", [(ten(quantiles("ccm_tenant_text_seconds", "tenant", 'event="sent"', (0.95,))[0][0]), "{{tenant}}")], alerts=["CcmProviderBudgetBurnsFast"], w=8),
        ],
    )
)

INGEST = [
    (
        "Texts",
        [
            lines("Taken", "Customers' texts that were stored, those that were known already, and parts of long texts.", "cps", [(rate("ccm_ingest_accepted_total", "kind"), "{{kind}}"), (rate("ccm_ingest_repeated_total", "kind"), "{{kind}} again"), (rate("ccm_ingest_parts_total", "kind"), "{{kind}} parts")], alerts=["CcmIngestSilent"]),
            lines("Refused, by reason", "Posts that were not taken. signature: a wrong token or public address; full, too_slow, database_away: ours, and posted again.", "cps", [(rate("ccm_ingest_refused_total", "kind, reason"), "{{kind}} {{reason}}")], alerts=["CcmIngestRefusesMost", "CcmIngestSignaturesWrong", "CcmIngestNotStored", "CcmIngestAccountUnusable"]),
            lines("Posts by status", "How posts of providers were answered.", "reqps", [(rate("ccm_http_requests_total", "status", 'role="ingest"'), "{{status}}")], alerts=["CcmAcceptBudgetBurnsFast"], stack=True),
            lines("For nobody's numbers", "Texts for numbers that their account does not have here: dead letters.", "cps", [(rate("ccm_ingest_unrouted_total", "kind"), "{{kind}}")], alerts=["CcmTextsForUnknownNumbers"]),
            lines("Flooded", "Texts beyond what a tenant lets one phone send: stored, and brought to no agent.", "cps", [(rate("ccm_ingest_flooded_total", "kind"), "{{kind}}")], alerts=["CcmPhonesFlood"]),
            lines("Taken although the signature does not fit", "Accounts that are set to report wrong signatures only: right for an hour of setting up, not longer.", "cps", [(rate("ccm_ingest_signature_mismatches_total", "kind"), "{{kind}}")], alerts=["CcmSignaturesNotEnforced"]),
        ],
    ),
    (
        "How long",
        [
            lines("Time to an answer", "How long providers wait for their 2xx. They give up after 15 s or less.", "s", quantiles("ccm_http_request_seconds", where='role="ingest"'), [(10, "red")]),
            lines("Time of a commit", "How long the database takes to store a batch of texts.", "s", quantiles("ccm_ingest_commit_seconds"), [(1, "yellow")], ["CcmIngestCommitSlow"]),
            lines("Texts in a commit", "How many texts one commit stores: above one, texts come faster than commits.", "short", [(f'max by (quantile) (ccm_ingest_batch_texts{{{N}, quantile=~"0.5|0.95|0.99"}})', "p{{quantile}}")]),
        ],
    ),
    (
        "Receipts and what is due",
        [
            lines("Receipts, by report", "What providers say became of texts.", "cps", [(rate("ccm_ingest_receipts_total", "report"), "{{report}}")], alerts=["CcmReceiptsBad", "CcmReceiptsMissing"], stack=True),
            lines("Receipts, by what they came to", "news: it changed a text. early: it came before the answer to the send. old: it was known.", "cps", [(rate("ccm_ingest_receipts_total", "came_to"), "{{came_to}}")]),
            lines("Due at ingest", "How long the first long text without its last parts, and the first conversation that nobody answers, have been due.", "s", [(most("ccm_platform_queue_oldest_seconds", "queue", 'queue=~"parts_of_texts|timers"'), "{{queue}}")], [(180, "red")], ["CcmIngestLate"]),
            lines("Taken without all parts", "Long texts of which parts never came: agents see that something is missing.", "cps", [(rate("ccm_ingest_incomplete_total"), "texts")]),
            lines("Ended unanswered", "Conversations that were ended because nobody answered what we had texted.", "cps", [(rate("ccm_ingest_unanswered_total"), "conversations")]),
            lines("Rows forgotten", "Rows that have done their work, by table.", "cps", [(rate("ccm_ingest_forgotten_total", "table"), "{{table}}")]),
            lines("Batches that failed", "Batches that the database refused as a whole; their texts are tried one by one.", "cps", [(rate("ccm_ingest_batches_failed_total"), "batches")], alerts=["CcmIngestNotStored"]),
        ],
    ),
]

CONNECTOR = [
    (
        "Links",
        [
            lines("Links by state", "Links to AACCs as their connectors see them. held: a planned absence.", "short", [(total("ccm_connector_links", "state"), "{{state}}")], alerts=["CcmLinkDown", "CcmManyLinksDown", "CcmLinkUnusable", "CcmLinkBudgetBurns"], stack=True),
            lines("What happens to links", "Links that went down or came back, fail-over, certificates that end. muted: in a planned absence.", "cps", [(rate("ccm_connector_link_events_total", "kind, muted"), "{{kind}} muted={{muted}}")], alerts=["CcmLinkDown"]),
            lines("Sockets lost, by reason", "Sockets of chats that broke; each chat resumes by itself.", "cps", [(rate("ccm_connector_links_lost_total", "why"), "{{why}}")], alerts=["CcmFramesNotUnderstood"]),
            lines("Dials that failed", "Attempts to open a socket that got no answer, and links whose settings turned out unusable.", "cps", [(rate("ccm_connector_connect_failures_total"), "dials"), (rate("ccm_connector_links_unusable_total"), "unusable settings")], alerts=["CcmLinkDown", "CcmLinkUnusable"]),
            lines("Days until a certificate ends", "The first of each kind: server, an AACC's; trusted_ca, an authority that a link trusts; client, ours.", "d", [(f"min by (whose) (ccm_connector_certificate_days_left{{{N}}})", "{{whose}}")], alerts=["CcmCertificateEndsSoon", "CcmCertificateEnds"], min=None),
            lines("What AACCs complain of", "Errors that AACC reports, and frames that CCM does not understand.", "cps", [(rate("ccm_connector_far_side_errors_total"), "errors"), (rate("ccm_connector_frames_not_understood_total"), "not understood")], alerts=["CcmFramesNotUnderstood"]),
        ],
    ),
    (
        "Chats",
        [
            lines("Conversations served, by pod", "One actor a conversation. The chart's autoscaler goes by it.", "short", [(total("ccm_connector_actors", "pod, instance"), "{{pod}} {{instance}}")], stack=True),
            lines("Waiting, by what for", "Conversations with a text that does not get on. Only link and settings are faults; limits are AACC's.", "short", [(total("ccm_connector_waiting", "for"), "{{for}}")], alerts=["CcmTextsWaitForLinks"], stack=True),
            lines("Conversations with a text without agent", "What the last poll found: conversations with a text that no agent has yet.", "short", [(total("ccm_connector_conversations_waiting"), "conversations")]),
            lines("Chats opened, resumed, expired", "expired: AACC had forgotten the chat, so a new one is opened and held texts go there.", "cps", [(rate("ccm_connector_chats_opened_total"), "opened"), (rate("ccm_connector_resumes_total"), "resumed"), (rate("ccm_connector_sessions_expired_total"), "expired"), (rate("ccm_connector_force_idle_ends_total"), "ended by AACC as idle")]),
            lines("Tenants owned, by pod", "Each active tenant has one owner.", "short", [(total("ccm_connector_tenants_owned", "pod, instance"), "{{pod}} {{instance}}")], alerts=["CcmTenantsWithoutOwner"], stack=True),
            lines("Tenants handed over", "Tenants that went to another pod because pods came.", "cps", [(rate("ccm_connector_tenants_handed_over_total"), "tenants")]),
        ],
    ),
    (
        "Texts to agents",
        [
            lines("Accepted to AACC", "From the acceptance of a text that opens a chat to AACC's word that it is open. Waiting for an agent is not in it.", "s", quantiles("ccm_connector_accept_to_chat_seconds"), [(5, "red")], ["CcmChatBudgetBurnsFast", "CcmChatBudgetBurnsSlowly"]),
            lines("Accepted to agent", "From a text's acceptance to AACC's acknowledgement of it, waiting for an agent included.", "s", quantiles("ccm_connector_delivery_seconds")),
            lines("Texts both ways", "Texts that AACC has acknowledged, texts it held back because no agent was in, and texts that agents wrote.", "cps", [(rate("ccm_connector_texts_delivered_total"), "to agents"), (rate("ccm_connector_texts_held_total"), "held"), (rate("ccm_connector_agent_texts_total"), "of agents")]),
            lines("In doubt and sent again", "Texts whose acknowledgement did not come, and those that were sent again for it.", "cps", [(rate("ccm_connector_texts_in_doubt_total"), "in doubt"), (rate("ccm_connector_resends_total"), "sent again")], alerts=["CcmTextsSentAgain"]),
            lines("Refused for good", "Texts that became dead letters. aacc: AACC refused them again and again. held: the tenant lets nothing wait longer.", "cps", [(rate("ccm_connector_texts_refused_total", "why"), "{{why}}")], alerts=["CcmTextsRefused", "CcmManyTextsRefused"]),
            lines("Left out", "What agents' windows said that no phone gets: repeats after a resume, AACC's own sentences, and (a fault) texts without a chat.", "cps", [(rate("ccm_connector_agent_texts_repeated_total"), "repeats"), (rate("ccm_connector_system_texts_total"), "AACC's own"), (rate("ccm_connector_agent_texts_without_chat_total"), "without a chat")], alerts=["CcmAgentTextDropped"]),
        ],
    ),
    (
        "Routing and what customers are told",
        [
            lines("Routed, by where to", "Texts that opened a chat or needed none.", "cps", [(rate("ccm_connector_routed_total", "to"), "{{to}}"), (rate("ccm_connector_routed_nowhere_total"), "to a skillset that is gone")], alerts=["CcmRoutedNowhere"], stack=True),
            lines("Questions to tenants' programs", "Tenants' programs that were asked where a text goes: answered, or why the fallback decided.", "cps", [(rate("ccm_connector_webhooks_total", "outcome"), "{{outcome}}")], alerts=["CcmRoutingWebhookFails"]),
            lines("Time of an answer of theirs", "How long tenants' programs take, with a customer waiting.", "s", quantiles("ccm_connector_webhook_seconds")),
            lines("Notices", "What tenants had their customers told, and what could not be said.", "cps", [(rate("ccm_connector_notices_total", "notice"), "{{notice}}"), (rate("ccm_connector_notices_without_words_total"), "no words for it"), (rate("ccm_connector_auto_replies_withheld_total"), "withheld: two robots")]),
            lines("STOP, START and HELP", "Words of consent, in all languages.", "cps", [(rate("ccm_connector_consent_keywords_total", "reply"), "{{reply}}"), (rate("ccm_connector_keywords_total"), "a tenant's word for the end")]),
            lines("Files that agents offered", "An SMS carries none: the tenant's words are sent instead.", "cps", [(rate("ccm_connector_files_offered_total"), "files")]),
        ],
    ),
    (
        "Faults of ours",
        [
            lines("Chats that broke off", "What serves a chat failed and was started again.", "cps", [(rate("ccm_connector_actor_failures_total", "why"), "{{why}}")], alerts=["CcmChatPanics"], w=12),
            lines("Database calls made again", "Calls that failed and were made again, and polls that failed.", "cps", [(rate("ccm_connector_database_retries_total"), "calls"), (rate("ccm_connector_polls_failed_total"), "polls")], alerts=["CcmDatabaseShaky", "CcmConnectorPollsFail"], w=12),
        ],
    ),
]

DISPATCH = [
    (
        "Texts to phones",
        [
            lines("Sent", "Texts that providers have taken.", "cps", [(rate("ccm_dispatch_sent_total", "kind"), "{{kind}}")], alerts=["CcmProviderFails"]),
            lines("Written to sent", "From what an agent or a page wrote to the provider's acceptance, waiting for rates included.", "s", quantiles("ccm_dispatch_sent_seconds", "kind"), [(5, "red")], ["CcmProviderBudgetBurnsFast", "CcmProviderBudgetBurnsSlowly"]),
            lines("Time of a provider's answer", "How long providers take.", "s", quantiles("ccm_dispatch_provider_seconds", "kind"), [(10, "red")], ["CcmProviderFails"]),
            lines("Tried again, by reason", "Attempts that came to nothing and are made again. in_doubt: the provider may have it.", "cps", [(rate("ccm_dispatch_retried_total", "kind, class"), "{{kind}} {{class}}")], alerts=["CcmProviderFails"]),
            lines("Failed, by reason", "Texts that no provider will send. refused: the provider's last word; opted_out, capped: ours, on purpose.", "cps", [(rate("ccm_dispatch_failed_total", "kind, class"), "{{kind}} {{class}}")], alerts=["CcmTextsGivenUp", "CcmProviderRefuses", "CcmTenantCapped"]),
            lines("Sent again", "Texts that were sent again although the provider may have had them.", "cps", [(rate("ccm_dispatch_resends_total", "kind"), "{{kind}}")], alerts=["CcmTextsSentAgain"]),
        ],
    ),
    (
        "What waits",
        [
            lines("Lines not taken up", "How long the first conversation with a text has been due without a dispatch that takes it.", "s", [(most("ccm_platform_queue_oldest_seconds", where='queue="lines_to_providers"'), "oldest")], [(60, "red")], ["CcmLinesNotTaken"]),
            lines("Texts that wait", "Texts to phones that no provider has taken, and conversations whose turn has come.", "short", [(most("ccm_platform_queue_waiting", "queue", 'queue=~"texts_for_providers|lines_to_providers"'), "{{queue}}")]),
            lines("Oldest unsent text", "How long the text that waits longest has waited, for its account or its number's rate.", "s", [(most("ccm_platform_oldest_unsent_seconds"), "oldest")], [(3600, "yellow")], ["CcmTextsUnsentLong"]),
            lines("Under way, by pod", "Texts on their way to providers; at most dispatch.concurrency a pod.", "short", [(total("ccm_dispatch_under_way", "pod, instance"), "{{pod}} {{instance}}")], stack=True),
            lines("Accounts that are paused", "Provider accounts that fail again and again, as each pod sees it.", "short", [(most("ccm_dispatch_accounts_paused", "pod, instance"), "{{pod}} {{instance}}")], [(1, "yellow")], ["CcmAccountPaused"]),
            lines("Heads that cannot be read", "Texts that hold up those behind them.", "cps", [(rate("ccm_dispatch_unreadable_total"), "texts")], alerts=["CcmLineUnreadable"]),
        ],
    ),
    (
        "What becomes of them",
        [
            lines("Texts from before a restore", "found: not sent again. absent, recognised: sent. in_doubt: a dead letter, for somebody's word.", "cps", [(rate("ccm_dispatch_from_before_total", "kind, result"), "{{kind}} {{result}}")], w=12),
            lines("Questions about texts in doubt", "found: not sent again. absent: sent again. failed: asked again later.", "cps", [(rate("ccm_dispatch_look_ups_total", "kind, result"), "{{kind}} {{result}}")], alerts=["CcmLookUpsFail"], w=12),
            lines("Receipts", "What providers say became of the texts that they took.", "cps", [(rate("ccm_ingest_receipts_total", "kind, report"), "{{kind}} {{report}}")], alerts=["CcmReceiptsBad", "CcmReceiptsMissing"], w=12),
        ],
    ),
]

CALLERS = [
    (
        "Callers who are offered a chat",
        [
            lines("What scripts were told", "accepted: the caller gets a text. unavailable: AACC does not say how busy it is, or something is not set up.", "cps", [(rate("ccm_deflection_asked_total", "result"), "{{result}}")], alerts=["CcmDeflectionUnavailable"], stack=True),
            lines("How far callers come", "Callers who came to a state. Many abandoned: agents are too slow for those who were promised a chat.", "cps", [(rate("ccm_deflection_states_total", "state"), "{{state}}")]),
            lines("Questions how busy a skillset is", "asked: AACC was. kept: answered from a moment ago. unavailable: the caller stayed in the queue.", "cps", [(rate("ccm_deflection_queue_checks_total", "result"), "{{result}}")], alerts=["CcmDeflectionUnavailable"]),
            lines("Callers to be looked at", "How long the first of them has been due.", "s", [(most("ccm_platform_queue_oldest_seconds", where='queue="deflections"'), "oldest")], [(120, "red")], ["CcmDeflectionsLate"]),
            lines("Looks that failed", "Looks at what is due that failed; they are made again in a second.", "cps", [(rate("ccm_deflection_failures_total"), "looks")], alerts=["CcmDeflectionsLate"]),
            lines("Time to an answer of deflection", "Voice scripts wait for it with a caller on the line.", "s", quantiles("ccm_http_request_seconds", where='role="deflection"'), [(2, "red")], ["CcmRequestsSlow"]),
        ],
    ),
    (
        "Agents' pages",
        [
            lines("Pages asked for", "opened, or why not. wrong_key: none of ours, expired, revoked.", "cps", [(rate("ccm_screenpop_opened_total", "result"), "{{result}}")], alerts=["CcmScreenpopFails", "CcmScreenpopRefuses"], stack=True),
            lines("Texts of pages", "What became of texts that agents wanted to send from their pages.", "cps", [(rate("ccm_screenpop_texts_total", "result"), "{{result}}")]),
            lines("Time to an answer of screenpop", "How long agents wait for their page.", "s", quantiles("ccm_http_request_seconds", where='role="screenpop"'), [(2, "red")], ["CcmRequestsSlow"]),
            lines("Numbers looked up", "asked: the provider was, and is paid. kept: from an earlier look-up.", "cps", [(rate("ccm_screenpop_look_ups_total", "kind, result"), "{{kind}} {{result}}")], alerts=["CcmNumberLookUpsFail"]),
            lines("Time of a look-up", "How long providers take to say what they know about a number.", "s", quantiles("ccm_screenpop_look_up_seconds", "kind")),
            lines("Answers by status", "How requests to both roles ended.", "reqps", [(rate("ccm_http_requests_total", "role, status", 'role=~"screenpop|deflection"'), "{{role}} {{status}}")], alerts=["CcmRequestsFail"]),
        ],
    ),
]

EVENTS = [
    (
        "What tenants' programs are told",
        [
            lines("Calls, by outcome", "delivered, or why a call is made again. forgotten: what it is about is not kept any more.", "cps", [(rate("ccm_events_calls_total", "outcome"), "{{outcome}}")], alerts=["CcmEventsNotTaken"], stack=True),
            lines("Time of a call", "How long receivers take.", "s", quantiles("ccm_events_call_seconds"), [(15, "red")]),
            lines("How late", "How late the oldest call is that could be made.", "s", [(most("ccm_events_oldest_due_seconds"), "as events sees it"), (most("ccm_platform_queue_oldest_seconds", where='queue="webhook_deliveries"'), "as admin sees it")], [(300, "yellow")], ["CcmEventsLate", "CcmEventsNotTaken"]),
            lines("Under way, by pod", "Calls of each pod; at most events.concurrency.", "short", [(total("ccm_events_calls_under_way", "pod, instance"), "{{pod}} {{instance}}")], stack=True),
            lines("Given up, disabled", "Events that were tried ten times; webhooks that are not called any more, gone (the receiver's wish) or failing.", "cps", [(rate("ccm_events_given_up_total"), "given up"), (rate("ccm_events_webhooks_disabled_total", "why"), "disabled: {{why}}")], alerts=["CcmWebhookDisabled"]),
            lines("Failures, doubles", "Looks and records that failed, and calls that another pod has made too.", "cps", [(rate("ccm_events_failures_total"), "failures"), (rate("ccm_events_doubled_total"), "doubles")], alerts=["CcmEventsFail"]),
        ],
    ),
]

PLATFORM = [
    (
        "Pods",
        [
            {
                "title": "Pods and versions",
                "says": "Each pod that Prometheus finds, with its role and version.",
                "unit": "short",
                "kind": "table",
                "w": 12,
                "asks": [(f'ccm_build_info{{{N}, role=~"$role"}}', "")],
                "hides": ["container", "endpoint", "service"],
                "alerts": ["CcmVersionsMixed", "CcmRoleGone", "CcmNothingScraped", "CcmPodNotScraped"],
            },
            lines("Ready pods, by role", "Pods that can do their job.", "short", [(total("ccm_ready", "role", 'role=~"$role"'), "{{role}}")], alerts=["CcmRoleNotReady", "CcmPodNotReady"], w=6),
            lines("Draining pods", "Pods that were told to end; each is gone within shutdown.grace_ms.", "short", [(total("ccm_draining"), "pods")], alerts=["CcmDrainHangs"], w=6),
            lines("Configuration", "Pods that have found a configuration that they cannot use, and pods with settings that wait for a restart.", "short", [(f"count(ccm_config_good{{{N}}} == 0) or vector(0)", "cannot be used"), (f"count(ccm_config_keys_for_restart{{{N}}} > 0) or vector(0)", "wait for a restart")], alerts=["CcmConfigBroken", "CcmConfigWaitsForRestart"], w=8),
            lines("Answers by role and status", "What each role answers over HTTP.", "reqps", [(rate("ccm_http_requests_total", "role, status", 'role=~"$role"'), "{{role}} {{status}}")], alerts=["CcmRequestsFail"]),
            lines("Time to an answer, by role", "The slowest twentieth of each role.", "s", quantiles("ccm_http_request_seconds", "role", 'role=~"$role"', (0.95,)), alerts=["CcmRequestsSlow"]),
        ],
    ),
    (
        "Database and bus",
        [
            lines("Pods without database", "Pods that have no answer of Postgres, or find a schema that is older than they are.", "short", [(f'count(ccm_dependency_up{{{N}, dependency="database"}} == 0) or vector(0)', "pods")], [(1, "red")], ["CcmDatabaseDown", "CcmDatabaseDownForPod"]),
            lines("Pods without Redis", "Without it wake-ups are lost and texts wait for polls.", "short", [(f'count(ccm_dependency_up{{{N}, dependency="bus"}} == 0) or vector(0)', "pods")], [(1, "yellow")], ["CcmBusDown"]),
            lines("Calls to the database made again", "Connectors' calls that failed and were made again.", "cps", [(rate("ccm_connector_database_retries_total"), "calls")], alerts=["CcmDatabaseShaky"]),
            lines("Wake-ups", "What the bus carries: lost ones cost a poll interval, no text.", "cps", [(rate("ccm_bus_published_total"), "published"), (rate("ccm_bus_received_total"), "received"), (rate("ccm_bus_ignored_total"), "not understood")]),
            lines("Wake-ups lost", "overflow: too many at once. failed: Redis did not take them. lagged: a listener was too slow and looks at everything.", "cps", [(rate("ccm_bus_dropped_total", "reason"), "{{reason}}"), (rate("ccm_bus_lagged_total"), "lagged"), (rate("ccm_bus_subscribed_total"), "subscribed anew")], alerts=["CcmBusDown"]),
            lines("Connected to Redis, by pod", "1: wake-ups can be published.", "short", [(most("ccm_bus_connected", "pod, instance"), "{{pod}} {{instance}}")], alerts=["CcmBusDown"], max=1),
            lines("Traces", "Spans that the collector took, and those that were dropped.", "cps", [(rate("ccm_trace_spans_exported_total"), "exported"), (rate("ccm_trace_spans_lost_total"), "lost")], alerts=["CcmTracesLost"]),
        ],
    ),
    (
        "Leases and queues",
        [
            lines("Who owns active tenants", "overdue, nobodys: nobody serves these tenants' chats.", "short", [(most("ccm_platform_leases", "state"), "{{state}}")], alerts=["CcmTenantsWithoutOwner"], stack=True),
            lines("Lives of the database", "open: it was restored or a replica promoted, and who says nothing is not texted. began: lives that were noticed.", "short", [(most("ccm_database_life_open"), "open"), (rate("ccm_database_lives_total"), "began, a second")], alerts=["CcmDatabaseRestored"], max=1),
            lines("Waiting in each queue", "10,000 at most are counted. failures: looks that failed, so that the figures are old.", "short", [(most("ccm_platform_queue_waiting", "queue"), "{{queue}}"), (rate("ccm_platform_failures_total"), "failures a second")], alerts=["CcmPlatformFiguresOld"]),
            lines("Age of each queue", "How long the first of each waits or has been due.", "s", [(most("ccm_platform_queue_oldest_seconds", "queue"), "{{queue}}")], alerts=["CcmLinesNotTaken", "CcmIngestLate", "CcmDeflectionsLate", "CcmBackgroundLate"]),
        ],
    ),
    (
        "Admin and the store",
        [
            lines("Turned away", "Searches, transcripts and exports beyond what a pod makes at a time, and callers that ask too much.", "cps", [(rate("ccm_admin_store_busy_total"), "store busy"), (rate("ccm_http_requests_total", where='role="admin", status="429"'), "429 in all")], alerts=["CcmStoreBusy"]),
            lines("Looks at texts", "Looks that the audit tells, and those that were refused because it could not be written.", "cps", [(rate("ccm_admin_looks_total", "what"), "{{what}}"), (rate("ccm_admin_looks_refused_total"), "refused")], alerts=["CcmLooksNotWritten"]),
            lines("What goes", "Texts whose time is over, rows of tenants that are deleted, people who were forgotten, months that were dropped.", "cps", [(rate("ccm_admin_retention_texts_total", "how"), "retention: {{how}}"), (rate("ccm_admin_purged_rows_total"), "rows of deletions"), (rate("ccm_admin_erasures_total"), "erasures"), (rate("ccm_admin_months_dropped_total"), "months")]),
            lines("Steps that failed", "Of deletions, erasures and retention; each is tried again in a minute.", "cps", [(rate("ccm_admin_deletion_failures_total"), "deletion"), (rate("ccm_admin_erasure_failures_total"), "erasure"), (rate("ccm_admin_retention_failures_total"), "retention")], alerts=["CcmRemovalFails"]),
            lines("Issuers whose keys cannot be fetched", "The last keys serve for 24 hours.", "cps", [(rate("ccm_oidc_fetch_failures_total", "issuer"), "{{issuer}}")], alerts=["CcmIssuerKeysNotFetched"]),
            lines("Time to count a day's usage", "Of all tenants together.", "s", quantiles("ccm_admin_usage_count_seconds", which=(0.95,))),
        ],
    ),
]

BOARDS = {
    "overview": {"uid": "ccm-overview", "title": "CCM: overview", "says": "Whether customers and agents get what they should, and where to look if not.", "rows": OVERVIEW, "roles": True},
    "ingest": {"uid": "ccm-ingest", "title": "CCM: texts in", "says": "From a provider's post to the commit.", "rows": INGEST, "roles": False},
    "connector": {"uid": "ccm-connector", "title": "CCM: chats and links", "says": "From the commit to the agent's window, and back.", "rows": CONNECTOR, "roles": False},
    "dispatch": {"uid": "ccm-dispatch", "title": "CCM: texts out", "says": "From what an agent wrote to the provider, and what became of it.", "rows": DISPATCH, "roles": False},
    "deflection-screenpop": {"uid": "ccm-deflection-screenpop", "title": "CCM: deflection and screen pop", "says": "Callers who are offered a chat, and agents' pages.", "rows": CALLERS, "roles": False},
    "events": {"uid": "ccm-events", "title": "CCM: events", "says": "Webhooks out: what tenants' programs are told.", "rows": EVENTS, "roles": False},
    "platform": {"uid": "ccm-platform", "title": "CCM: platform", "says": "Pods, leases, queues, database, bus, admin and the store.", "rows": PLATFORM, "roles": True},
}
