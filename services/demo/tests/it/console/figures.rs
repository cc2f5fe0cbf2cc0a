//! What charts are drawn of: texts that agents answer, texts that no phone gets, callers who are offered a chat.

use super::{LIMIT, Scene};
use anyhow::{Context, Result, ensure};
use ccm_aacc_sim::{Agent, ChatView};
use ccm_carrier_sim::{Fault, OrderedReceipt, ReceiptStatus};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Mobile numbers, as their country's plan says.
const CALLERS: [&str; 3] = ["+353861234567", "+353861234568", "+353861234569"];

impl Scene {
    /// Three callers are offered a chat, two come; of what their agent writes one text is refused and one does not arrive.
    pub(super) async fn have_figures(&self) -> Result<()> {
        let tenant = self.world.tenants.first().context("no tenant")?;
        let carrier = &self.world.carrier;
        let settings = format!("/tenants/{}/deflection-settings", tenant.made.id);
        let offer = json!({"offer": {"en": "Text back, and an agent answers."}});
        self.world.admin.put(&settings, &offer).await?;
        for caller in CALLERS {
            self.offer(caller).await?;
            carrier.wait_received(caller, 1, LIMIT).await?;
        }
        for caller in &CALLERS[1..] {
            carrier.text(caller, &tenant.number, "yes please")?;
            let theirs = |chat: &ChatView| chat.customer == *caller;
            let chat = tenant.aacc.wait_for_chat(theirs, LIMIT).await?;
            tenant.aacc.join(chat.guid, Agent::new("7000", "Russell"))?;
            tenant.aacc.say(chat.guid, "7000", "How can I help you?")?;
            carrier.wait_received(caller, 2, LIMIT).await?;
            if *caller == CALLERS[2] {
                self.two_fail(chat.guid).await?;
            }
        }
        Ok(())
    }

    async fn two_fail(&self, chat: u64) -> Result<()> {
        let tenant = self.world.tenants.first().context("no tenant")?;
        let carrier = &self.world.carrier;
        let refused = Fault::Answer {
            status: 400,
            code: Some("21614".into()),
            retry_after_s: None,
            taken: false,
        };
        let lost = OrderedReceipt {
            status: ReceiptStatus::Undelivered,
            code: Some("30005".into()),
            after_ms: 0,
        };
        let lost = Fault::Receipts {
            receipts: vec![lost],
            early: false,
        };
        for fault in [refused, lost] {
            carrier.fault(fault);
            tenant.aacc.say(chat, "7000", "Are you still there?")?;
            let began = Instant::now();
            while !carrier.faults().is_empty() {
                ensure!(began.elapsed() < LIMIT, "nothing was sent");
                sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// As a voice script asks.
    async fn offer(&self, caller: &str) -> Result<()> {
        let tenant = self.world.tenants.first().context("no tenant")?;
        let base = self.world.stack.address("deflection")?;
        let asked = [
            ("auth", tenant.made.auth_key.as_str()),
            ("caller", caller),
            ("contact_id", caller),
            ("waited_s", "125"),
        ];
        let answer: Value = reqwest::Client::new()
            .post(format!("{base}/v1/deflections"))
            .form(&asked)
            .send()
            .await?
            .json()
            .await?;
        ensure!(answer["result"] == "accepted", "{answer}");
        Ok(())
    }
}
