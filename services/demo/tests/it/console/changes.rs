//! What there is already: changed, shut out, held and forgotten where it stands.

use super::Scene;
use anyhow::{Result, ensure};

impl Scene {
    /// A link, an account and a skillset, each where it stands.
    pub(super) async fn what_there_is_is_changed(&self, tenant: &str) -> Result<()> {
        let browser = &self.browser;
        let link = self.first(&format!("{tenant}/links")).await?;
        let edit = "form:has([name='_form'][value=edit])";
        self.open(&link).await?;
        browser
            .press("details:has([name='_form'][value=edit]) > summary")
            .await?;
        self.fill(edit, &[("url", "https://aacc.example.com")]).await?;
        browser.see(".field.wrong", "Address").await?;
        let url = format!("{edit} [name=url]");
        ensure!(
            browser.value(&url).await? == "https://aacc.example.com",
            "it must be typed again"
        );
        self.fill(edit, &[("url", &self.aacc.chat_url()), ("name", "AACC Dublin")])
            .await?;
        self.see("Saved.").await?;
        browser.see("h1", "AACC Dublin").await?;
        for (what, name) in [("accounts", "Main account"), ("skillsets", "WC_Default_Skillset")] {
            self.open(&format!("{tenant}/numbers")).await?;
            let row = format!("tr:has([value*='/{what}/'])");
            browser.press(&format!("{row} summary")).await?;
            let field = format!("{row} [name=name]");
            browser.clear(&field).await?;
            browser.type_into(&field, name).await?;
            browser.press(&format!("{row} button.main")).await?;
            self.see("Saved.").await?;
            browser.see(&row, name).await?;
        }
        // A number needs it: that is said, and it stays.
        let row = "tr:has([value*='/accounts/'])";
        browser.press(&format!("{row} summary")).await?;
        browser.press(&format!("{row} button.danger")).await?;
        browser.see("#problem", "").await?;
        browser.see(row, "Main account").await
    }

    pub(super) async fn a_person_is_held_and_forgotten(&self, tenant: &str) -> Result<()> {
        let browser = &self.browser;
        let nobody = "+14697206277";
        self.open(&format!("{tenant}/persons")).await?;
        browser
            .press("details:has([name='_form'][value=hold]) summary")
            .await?;
        let hold = "form:has([name='_form'][value=hold])";
        self.fill(hold, &[("customer", nobody), ("reason", "case 2026-117")])
            .await?;
        self.see("Made.").await?;
        browser.see("tbody", &format!("all texts of {nobody}")).await?;
        let erase = "form:has([name='_form'][value=erase])";
        let ask = [("number", nobody), ("reason", "asked for it, ticket 4712")];
        self.fill(erase, &ask).await?;
        browser.see("#would", "In the way:").await?;
        browser.press("tbody summary").await?;
        browser.press("tbody button.danger").await?;
        self.see("Removed.").await?;
        self.fill(erase, &ask).await?;
        browser.see("#would", "What would go for good").await?;
        self.sound("a person who would be forgotten").await?;
        self.picture("person", 1280, 1200).await?;
        browser.press(&format!("{erase} button.danger")).await?;
        self.see("Begun.").await?;
        browser.see("tbody", "asked for it, ticket 4712").await
    }

    pub(super) async fn people_come_and_go(&self, tenant: &str) -> Result<()> {
        let browser = &self.browser;
        let new = "form:has([name='_form'][value=user])";
        self.open(&format!("{tenant}/access")).await?;
        browser
            .press("details:has([name='_form'][value=user]) summary")
            .await?;
        self.fill(new, &[("name", "Mary Byrne")]).await?;
        browser.see(".field.wrong", "").await?;
        ensure!(
            browser.value(&format!("{new} [name=name]")).await? == "Mary Byrne",
            "it must be typed again"
        );
        self.fill(new, &[("email", "mary@example.com")]).await?;
        self.see("Made.").await?;
        let row = "tr:has([value*='/users/'])";
        browser.see(row, "Mary Byrne").await?;
        browser.press(&format!("{row} summary")).await?;
        let edit = format!("{row} form:has([name=role])");
        browser.choose(&format!("{edit} select"), "tenant-admin").await?;
        let long = "x".repeat(201);
        browser.paste(&format!("{edit} [name=name]"), &long).await?;
        browser.press(&format!("{edit} button")).await?;
        browser.see("tr .field.wrong", "Name").await?;
        ensure!(
            browser.value(&format!("{edit} [name=name]")).await? == long
                && browser.value(&format!("{edit} select")).await? == "tenant-admin",
            "what was refused is lost"
        );
        self.sound("a row that was refused").await?;
        self.picture("row-refused", 1280, 1400).await?;
        browser.clear(&format!("{edit} [name=name]")).await?;
        browser.type_into(&format!("{edit} [name=name]"), "Mary").await?;
        browser.press(&format!("{edit} button")).await?;
        self.see("Saved.").await?;
        browser.see("tr td", "tenant-admin").await?;
        for (button, then) in [
            ("form:has([name='disabled:bool'])", "disabled"),
            ("form:has([name='disabled:bool'])", "active"),
            ("form:has([value^=DELETE])", ""),
        ] {
            browser.press(&format!("{row} summary")).await?;
            browser.press(&format!("{row} {button} button")).await?;
            match then {
                "" => self.see("Removed.").await?,
                then => browser.see(&format!("{row} .badge"), then).await?,
            }
        }
        Ok(())
    }
}
