use crate::{
    api::Api,
    document::{Plan, Reach, Shape, There, Wanted, apply, as_json, as_text, export, plan, read, withheld},
    failure::Failure,
    output::{Said, cell, list, written},
    spec::Spec,
    terminal, yaml,
};
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::{self, Write};

#[derive(Subcommand)]
pub enum Command {
    /// Take texts and store them, but answer nobody.
    Suspend(Change),
    /// Carry texts again, those too that were stored meanwhile.
    Resume(Change),
    /// All settings as one document (YAML), without secrets.
    Export {
        /// Its slug or id. Left out: as --tenant says.
        which: Option<String>,
    },
    /// Say what would have to change for a tenant to be as a document has it.
    ///
    /// Ends with 9 if anything would.
    Diff(Document),
    /// Make a tenant as a document has it: what is missing is made, what is another is changed.
    ///
    /// The steps are shown and asked about first. The first one that fails ends it; what was done and what not is said. Applied
    /// again, it goes on there, and changes nothing once all is as it should be.
    Apply(Apply),
}

#[derive(Args)]
pub struct Change {
    /// Its slug or id.
    tenant: String,
    /// Why, for those who read it later.
    #[arg(long)]
    reason: String,
}

#[derive(Args)]
pub struct Document {
    /// The document, - for standard input.
    #[arg(long, short)]
    file: String,
    /// Remove what is not in the document, in those lists that it has.
    #[arg(long)]
    prune: bool,
    /// Send secrets too that are there already: nobody can see whether they are the same.
    #[arg(long)]
    secrets: bool,
}

#[derive(Args)]
pub struct Apply {
    #[command(flatten)]
    document: Document,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

impl Command {
    pub async fn run(
        self,
        spec: &Spec,
        connect: impl FnOnce() -> Result<Api, Failure>,
    ) -> Result<Said, Failure> {
        match self {
            Self::Suspend(change) => change.to("suspended", &connect()?).await,
            Self::Resume(change) => change.to("active", &connect()?).await,
            Self::Export { which } => {
                let (shape, api) = (Shape::of(spec), connect()?);
                if let Some(which) = which {
                    api.is_about(&which);
                }
                let id = api.tenant().await?.to_owned();
                let document = export(&shape, &There::read(&shape, &id, &api).await?);
                for at in withheld(&document) {
                    let line = format!(
                        "ccmctl: {at} is withheld from this token: the document says so in its place, and diff and apply leave it as it is\n  \
                         do: export with the token of an engineer where the document is to have it\n"
                    );
                    written(io::stderr().write_all(line.as_bytes()))?;
                }
                let text = yaml::write(&document);
                Ok(Said::new(document, text))
            }
            Self::Diff(document) => document.diff(spec, connect).await,
            Self::Apply(apply) => apply.run(spec, connect).await,
        }
    }
}

impl Change {
    async fn to(self, state: &str, api: &Api) -> Result<Said, Failure> {
        let tenant = api.tenant_named(&self.tenant).await?;
        let body = json!({"state": state, "reason": self.reason});
        let now = api.put(&["v1", "tenants", &tenant, "state"], &body).await?;
        let text = list(&[
            ("tenant", cell(&now, "slug")),
            ("state", cell(&now, "state")),
            ("since", cell(&now, "state_since")),
            ("by", cell(&now, "state_by")),
            ("reason", cell(&now, "state_reason")),
        ]);
        Ok(Said::new(now, text))
    }
}

impl Document {
    async fn diff(
        self,
        spec: &Spec,
        connect: impl FnOnce() -> Result<Api, Failure>,
    ) -> Result<Said, Failure> {
        let shape = Shape::of(spec);
        let wanted = read(&shape, &self.file)?;
        let api = connect()?;
        let there = there(&shape, &wanted, &api).await?;
        let plan = self.plan(&shape, &wanted, there.as_ref(), &api)?;
        let said = Said::new(as_json(&plan, None), as_text(&plan));
        Ok(match plan.steps.is_empty() {
            true => said,
            false => said.not_as_it_should_be("it differs"),
        })
    }

    fn plan<'p>(
        &self,
        shape: &'p Shape<'p>,
        wanted: &Wanted,
        there: Option<&There>,
        api: &Api,
    ) -> Result<Plan<'p>, Failure> {
        let reach = Reach {
            prune: self.prune,
            secrets: self.secrets,
        };
        plan(shape, wanted, there, reach, api.ids().clock().now())
    }
}

async fn there(shape: &Shape<'_>, wanted: &Wanted, api: &Api) -> Result<Option<There>, Failure> {
    match api.find_tenant(&wanted.slug).await {
        Ok(Some(id)) => There::read(shape, &id, api).await.map(Some),
        Ok(None) => Ok(None),
        // A tenant's own role sees no other tenants.
        Err(failure) if failure.is_forbidden() => {
            let id = api.tenant().await?.to_owned();
            let there = There::read(shape, &id, api).await?;
            match there.slug == wanted.slug {
                true => Ok(Some(there)),
                false => Err(Failure::usage(
                    format!(
                        "the document is of {}, and --tenant is {}",
                        wanted.slug, there.slug
                    ),
                    "take the document of that tenant, or another token",
                )),
            }
        }
        Err(failure) => Err(failure),
    }
}

impl Apply {
    async fn run(self, spec: &Spec, connect: impl FnOnce() -> Result<Api, Failure>) -> Result<Said, Failure> {
        let shape = Shape::of(spec);
        let wanted = read(&shape, &self.document.file)?;
        let api = connect()?;
        let there = there(&shape, &wanted, &api).await?;
        let plan = self.document.plan(&shape, &wanted, there.as_ref(), &api)?;
        let text = as_text(&plan);
        if self.dry_run || plan.steps.is_empty() {
            return Ok(Said::new(as_json(&plan, None), text));
        }
        if !self.yes {
            written(io::stderr().write_all(text.as_bytes()))?;
            match terminal::ask("Do this?") {
                Some(true) => {}
                Some(false) => {
                    return Ok(Said::new(
                        as_json(&plan, Some(0)),
                        "nothing was done\n".to_owned(),
                    ));
                }
                None => {
                    return Err(Failure::usage(
                        "nobody is there to be asked",
                        "look at --dry-run, then say --yes",
                    ));
                }
            }
        }
        let outcome = apply(&shape, &plan, there, &api).await;
        let mut said = Said::new(
            as_json(&plan, Some(outcome.done)),
            if self.yes { text } else { String::new() },
        );
        match outcome.failure {
            None => said.text += &format!("all {} done\n", plan.steps.len()),
            Some(failure) => {
                for (n, step) in plan.steps.iter().enumerate() {
                    let state = match n.cmp(&outcome.done) {
                        std::cmp::Ordering::Less => "done",
                        std::cmp::Ordering::Equal => "FAILED",
                        std::cmp::Ordering::Greater => "not done",
                    };
                    said.text += &format!("{state}: {} {}\n", step.noun, step.key);
                }
                said.failure = Some(failure);
            }
        }
        Ok(said)
    }
}
